"""The ledger's collection: rows are inserted and read, never changed."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from pymongo.errors import DuplicateKeyError

from penguind.domain.ledger import LedgerRow
from penguind.store.translation import translated

if TYPE_CHECKING:
    from collections.abc import Mapping

    from penguind.store.database import Database


@translated
class LedgerStore:
    """Rows by number."""

    def __init__(self, database: Database) -> None:
        self._rows = database.db["ledger"]

    async def prepare(self) -> None:
        """Nothing to index: rows are looked up by number."""

    async def insert(self, row: LedgerRow) -> bool:
        """Store a row; False if its number is taken."""
        document = {name: getattr(row, name) for name in LedgerRow.__slots__}
        document["_id"] = document.pop("number")
        try:
            await self._rows.insert_one(document)
        except DuplicateKeyError:
            return False
        return True

    async def head(self) -> LedgerRow | None:
        """Return the newest row, or None."""
        found = await self._rows.find_one({}, sort=[("_id", -1)])
        return None if found is None else _row(found)

    async def after(self, number: int, limit: int) -> list[LedgerRow]:
        """Return rows after a number, oldest first."""
        cursor = self._rows.find({"_id": {"$gt": number}}).sort("_id", 1).limit(limit)
        return [_row(found) async for found in cursor]


def _row(found: Mapping[str, Any]) -> LedgerRow:
    values = {name: found[name] for name in LedgerRow.__slots__ if name in found}
    for name in ("details", "previous_hash", "hash"):
        values[name] = bytes(found[name])
    return LedgerRow(number=found["_id"], **values)
