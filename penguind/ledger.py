"""Writing the ledger: one chain of rows, one writer at a time, also across processes."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from penguind.domain.ledger import LedgerRow
from penguindome.chain import GENESIS, row_hash
from penguindome.errors import Unavailable
from penguindome.reports import canonical_json
from penguindome.times import to_unix_ms

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from datetime import datetime

    from penguind.store.ledger import LedgerStore

_ATTEMPTS = 50


class Ledger:
    """Appends rows; a row number that another writer took is tried again on top of theirs."""

    def __init__(self, store: LedgerStore, clock: Callable[[], datetime]) -> None:
        self._store = store
        self._clock = clock

    async def append(
        self, actor: str, action: str, target: str, details: Mapping[str, Any]
    ) -> LedgerRow:
        """Write one row and return it.

        Raises:
            Unavailable: when too many others write at the same time.
        """
        encoded = canonical_json(dict(details))
        for _ in range(_ATTEMPTS):
            row = self._next(await self._store.head(), actor, action, target, encoded)
            if await self._store.insert(row):
                return row
        raise Unavailable(
            "too many administrative acts at the same time", code="ledger-busy", remedy="Try again"
        )

    async def head(self) -> LedgerRow | None:
        """Return the newest row, None when the ledger is empty."""
        return await self._store.head()

    async def after(self, number: int, limit: int) -> list[LedgerRow]:
        """Return at most `limit` rows after a number, oldest first."""
        return await self._store.after(number, limit)

    def _next(
        self, head: LedgerRow | None, actor: str, action: str, target: str, details: bytes
    ) -> LedgerRow:
        previous = GENESIS if head is None else head.hash
        number = 1 if head is None else head.number + 1
        time_unix_ms = to_unix_ms(self._clock())
        digest = row_hash(
            previous=previous,
            number=number,
            time_unix_ms=time_unix_ms,
            actor=actor,
            action=action,
            target=target,
            details=details,
        )
        return LedgerRow(number, time_unix_ms, actor, action, target, details, previous, digest)
