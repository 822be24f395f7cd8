"""Operators as the server knows them, and the invitations that make them."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta

from penguindome.errors import Forbidden

SERIALS_KEPT = 4
# Who was away for longer is invited again: a forgotten key must not stay a way in.
LONGEST_ABSENCE = timedelta(days=60)
_REMEDY = "ask for a new invitation: penguind operator invite NAME, run on the server"


@dataclass(frozen=True, slots=True)
class Operator:
    """A person who holds an operator certificate; the newest serials, oldest first."""

    name: str
    roles: tuple[str, ...]
    spki: bytes
    serials: tuple[str, ...]
    joined_time: datetime
    certificate_expires_time: datetime
    revoked: bool = False

    def check_renewable(self, now: datetime) -> None:
        """Check that the holder of the recorded key may have a fresh certificate.

        Raises:
            Forbidden: the operator is revoked, or was away for too long.
        """
        if self.revoked:
            raise _not_renewed("the operator is revoked", "revoked", self.name)
        if now - self.certificate_expires_time > LONGEST_ABSENCE:
            reason = f"the certificate ended more than {LONGEST_ABSENCE.days} days ago"
            raise _not_renewed(reason, "absent-too-long", self.name)


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


def _not_renewed(reason: str, code: str, name: str) -> Forbidden:
    return Forbidden(reason, code=code, subject=name, remedy=_REMEDY)


def invitation_refused() -> Forbidden:
    """Return the one answer to unknown, wrong, expired, frozen and used invitations."""
    return Forbidden("the invitation is not accepted", code="invitation-refused", remedy=_REMEDY)
