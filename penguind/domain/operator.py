"""Operators as the server knows them, and the invitations that make them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from penguindome.errors import Forbidden

if TYPE_CHECKING:
    from datetime import datetime

_REMEDY = "ask for a new invitation: penguind operator invite NAME, run on the server"


@dataclass(frozen=True, slots=True)
class Operator:
    """A person who holds an operator certificate."""

    name: str
    roles: tuple[str, ...]
    spki: bytes
    serials: tuple[str, ...]
    joined_time: datetime
    certificate_expires_time: datetime
    revoked: bool = False


@dataclass(frozen=True, slots=True)
class OperatorInvitation:
    """A one-time invitation, without its secret."""

    invitation_id: str
    secret_hash: bytes
    name: str
    roles: tuple[str, ...]
    created_by: str
    created_time: datetime
    expires_time: datetime
    csr_hash: bytes = b""
    wrong_secrets: int = 0


def invitation_refused() -> Forbidden:
    """Return the one answer to unknown, wrong, expired, frozen and used invitations."""
    return Forbidden("the invitation is not accepted", code="invitation-refused", remedy=_REMEDY)
