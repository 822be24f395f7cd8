"""The ledger's collection: rows are inserted and read, never changed."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from pymongo.errors import BulkWriteError

from penguind.domain.ledger import LedgerRow
from penguind.store.translation import translated

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from penguind.store.database import Database

_DUPLICATE_KEY = 11000


@translated
class LedgerStore:
    """Rows by number."""

    def __init__(self, database: Database) -> None:
        self._rows = database.db["ledger"]

    async def prepare(self) -> None:
        """Nothing to index: rows are looked up by number."""

    async def insert(self, rows: Sequence[LedgerRow]) -> int:
        """Store rows in order, up to one whose number is taken; returns how many were stored."""
        try:
            await self._rows.insert_many([_document(row) for row in rows])
        except BulkWriteError as error:
            details = error.details or {}
            (failure,) = details.get("writeErrors") or [{}]
            if failure.get("code") != _DUPLICATE_KEY or details.get("writeConcernErrors"):
                raise
            return int(failure["index"])
        return len(rows)

    async def head(self) -> LedgerRow | None:
        """Return the newest row, or None."""
        found = await self._rows.find_one({}, sort=[("_id", -1)])
        return None if found is None else _row(found)

    async def after(self, number: int, limit: int) -> list[LedgerRow]:
        """Return rows after a number, oldest first."""
        cursor = self._rows.find({"_id": {"$gt": number}}).sort("_id", 1).limit(limit)
        return [_row(found) async for found in cursor]


def _document(row: LedgerRow) -> dict[str, Any]:
    document = {name: getattr(row, name) for name in LedgerRow.__slots__}
    document["_id"] = document.pop("number")
    return document


def _row(found: Mapping[str, Any]) -> LedgerRow:
    values = {name: found[name] for name in LedgerRow.__slots__ if name in found}
    for name in ("details", "previous_hash", "hash"):
        values[name] = bytes(found[name])
    return LedgerRow(number=found["_id"], **values)
