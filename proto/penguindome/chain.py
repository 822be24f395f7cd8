"""Chain the ledger's rows by hashes, so that no row can change or vanish unseen."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING, Protocol

from penguindome.errors import Damaged
from penguindome.framing import frame

if TYPE_CHECKING:
    from collections.abc import Iterable

GENESIS = bytes(32)


class ChainRow(Protocol):
    """Be a ledger row, whether a generated message or a plain record."""

    @property
    def number(self) -> int:
        """Count from 1, without gaps."""

    @property
    def time_unix_ms(self) -> int:
        """Say when, milliseconds since the Unix epoch."""

    @property
    def actor(self) -> str:
        """Say who."""

    @property
    def action(self) -> str:
        """Say what."""

    @property
    def target(self) -> str:
        """Say to whom."""

    @property
    def details(self) -> bytes:
        """Hold canonical JSON."""

    @property
    def previous_hash(self) -> bytes:
        """Hold the hash of the row before."""

    @property
    def hash(self) -> bytes:
        """Hold the hash of this row."""


def row_hash(
    *,
    previous: bytes,
    number: int,
    time_unix_ms: int,
    actor: str,
    action: str,
    target: str,
    details: bytes,
) -> bytes:
    """Return a row's SHA-256 over its fields, each with its length, and the hash before it."""
    fields = (
        previous,
        str(number).encode(),
        str(time_unix_ms).encode(),
        actor.encode("utf-8", "surrogatepass"),
        action.encode("utf-8", "surrogatepass"),
        target.encode("utf-8", "surrogatepass"),
        details,
    )
    return hashlib.sha256(frame("ledger-row", *fields)).digest()


def verify_rows(
    rows: Iterable[ChainRow], *, previous: bytes = GENESIS, number: int = 0
) -> tuple[int, bytes]:
    """Check that rows continue a chain; return the last row's number and hash.

    Args:
        rows: Oldest first.
        previous: The hash of the row before the first one.
        number: The number of the row before the first one.

    Raises:
        Damaged: A row is missing, moved or changed; names the first.
    """
    for row in rows:
        number += 1
        if row.number != number:
            raise _damaged(number, f"the row is missing; row {row.number} stands in its place")
        if row.previous_hash != previous:
            raise _damaged(number, "the row does not continue the row before it")
        if row.hash != _hash_of(row, previous):
            raise _damaged(number, "the row was changed after it was written")
        previous = row.hash
    return number, previous


def _hash_of(row: ChainRow, previous: bytes) -> bytes:
    return row_hash(
        previous=previous,
        number=row.number,
        time_unix_ms=row.time_unix_ms,
        actor=row.actor,
        action=row.action,
        target=row.target,
        details=row.details,
    )


def _damaged(number: int, reason: str) -> Damaged:
    return Damaged(
        reason,
        code="ledger-damaged",
        subject=f"ledger row {number}",
        remedy="Compare with a kept ledger head or a backup; somebody wrote to the database",
    )
