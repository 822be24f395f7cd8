"""Writing the ledger: one chain of rows, one writer at a time, also across processes.

Whoever comes while rows are being written waits, and the first of those that waited writes the rows
of all of them together.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from penguind.domain.ledger import LedgerRow
from penguindome.chain import GENESIS, row_hash
from penguindome.errors import PenguinDomeError, Unavailable
from penguindome.reports import canonical_json
from penguindome.times import to_unix_ms

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence
    from datetime import datetime

    from penguind.store.ledger import LedgerStore

_ATTEMPTS = 50


@dataclass(slots=True, eq=False)
class _Entry:
    """What a caller wants written, and what became of it."""

    actor: str
    action: str
    target: str
    details: bytes
    result: LedgerRow | PenguinDomeError | None = None


class Ledger:
    """Appends rows; a row number that another process took is tried again on top of theirs."""

    def __init__(self, store: LedgerStore, clock: Callable[[], datetime]) -> None:
        self._store = store
        self._clock = clock
        self._turn = asyncio.Lock()
        self._waiting: list[_Entry] = []
        self._head: LedgerRow | None = None

    async def append(
        self, actor: str, action: str, target: str, details: Mapping[str, Any]
    ) -> LedgerRow:
        """Write one row and return it; returns once a majority has it on disk.

        Raises:
            Unavailable: when too many others write at the same time, or the database is away.
        """
        entry = _Entry(actor, action, target, canonical_json(dict(details)))
        self._waiting.append(entry)
        try:
            async with self._turn:
                if entry.result is None:
                    await self._write_waiting()
        finally:
            if entry in self._waiting:
                self._waiting.remove(entry)
        if isinstance(entry.result, LedgerRow):
            return entry.result
        raise entry.result or _busy()

    async def head(self) -> LedgerRow | None:
        """Return the newest row, None when the ledger is empty."""
        return await self._store.head()

    async def after(self, number: int, limit: int) -> list[LedgerRow]:
        """Return at most `limit` rows after a number, oldest first."""
        return await self._store.after(number, limit)

    async def _write_waiting(self) -> None:
        entries, self._waiting = self._waiting, []
        # Until it is known what was stored, the next writer has to look.
        head, self._head = self._head, None
        failure: PenguinDomeError = _busy()
        try:
            self._head = await self._write(entries, head)
        except PenguinDomeError as error:
            failure = error
        finally:
            # Also where this caller hung up: what was stored of the others is unknown.
            for entry in entries:
                entry.result = entry.result or failure

    async def _write(self, entries: Sequence[_Entry], head: LedgerRow | None) -> LedgerRow | None:
        """Write rows on top of `head`; return the new head."""
        for _ in range(_ATTEMPTS):
            head = head or await self._store.head()
            rows = list(self._chained(entries, head))
            stored = await self._store.insert(rows)
            for entry, row in zip(entries, rows[:stored], strict=False):
                entry.result = row
            entries = entries[stored:]
            if not entries:
                return rows[-1]
            head = None
        raise _busy()

    def _chained(self, entries: Sequence[_Entry], head: LedgerRow | None) -> Iterator[LedgerRow]:
        for entry in entries:
            head = self._next(head, entry)
            yield head

    def _next(self, head: LedgerRow | None, entry: _Entry) -> LedgerRow:
        previous = GENESIS if head is None else head.hash
        number = 1 if head is None else head.number + 1
        facts = {"actor": entry.actor, "action": entry.action, "target": entry.target}
        time_unix_ms = to_unix_ms(self._clock())
        digest = row_hash(
            previous=previous,
            number=number,
            time_unix_ms=time_unix_ms,
            details=entry.details,
            **facts,
        )
        return LedgerRow(
            number=number,
            time_unix_ms=time_unix_ms,
            details=entry.details,
            previous_hash=previous,
            hash=digest,
            **facts,
        )


def _busy() -> Unavailable:
    return Unavailable(
        "too many administrative acts at the same time", code="ledger-busy", remedy="Try again"
    )
