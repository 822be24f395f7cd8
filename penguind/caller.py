"""Who is calling: set by the gate for each RPC, read by the services."""

from __future__ import annotations

import asyncio
from contextvars import ContextVar
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal

from penguindome.errors import Unauthenticated

if TYPE_CHECKING:
    from datetime import datetime

Kind = Literal["device", "operator", "applicant"]


@dataclass(frozen=True, slots=True, eq=False)
class Caller:
    """The authenticated caller of one RPC.

    `name` is the device id, the operator's name, or an applicant's address. `peer` is gRPC's peer
    text, `listener` the name of the listener that was dialled. `ended` is set when the caller's
    identity ends; a stream waits on it beside its next message and then aborts its context.
    `withheld` are roles that the operator has but may not use from this address. Trust: nothing
    here comes from a message's fields.
    """

    kind: Kind
    name: str
    roles: frozenset[str]
    peer: str
    ended: asyncio.Event = field(default_factory=asyncio.Event)
    serial: str = ""
    expires_time: datetime | None = None
    withheld: frozenset[str] = frozenset()
    listener: str = ""

    @property
    def actor(self) -> str:
        """Return the ledger's word for the caller."""
        return f"{self.kind}/{self.name}"


def identity_ended() -> Unauthenticated:
    """Return what ends the stream of a caller whose identity ended."""
    return Unauthenticated(
        "the caller's identity ended",
        code="identity-ended",
        remedy="renew the certificate; a revoked device must be enrolled anew",
    )


_current: ContextVar[Caller] = ContextVar("penguind_caller")


def caller() -> Caller:
    """Return who calls the RPC that the current task handles."""
    return _current.get()


def enter(who: Caller) -> None:
    """Make `who` the current task's caller; for the gate and for tests."""
    _current.set(who)
