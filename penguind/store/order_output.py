"""The output's collection: what programs printed, in pieces."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from pymongo import InsertOne
from pymongo.errors import BulkWriteError

from penguind.domain.order import target_key
from penguind.store.duplicates import refused_inserts
from penguind.store.translation import translated

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Sequence
    from datetime import datetime

    from penguind.store.database import Database

_DIGITS = 12
_BATCH = 16


@dataclass(frozen=True, slots=True)
class Piece:
    """A piece of what a program printed: where it begins, and its bytes."""

    order_id: str
    device_id: str
    part: str
    stream: str
    offset: int
    data: bytes

    @property
    def key(self) -> str:
        """Return the id of the record of its target."""
        return target_key(self.order_id, self.device_id, self.part)


@translated
class OrderOutputStore:
    """Pieces by target, stream and offset."""

    def __init__(self, database: Database) -> None:
        self._output = database.db["order_output"]

    async def prepare(self) -> None:
        """Create the index that deleting needs; pieces are found by their ids."""
        await self._output.create_index("stored_time")

    async def add(self, pieces: Sequence[Piece], now: datetime) -> None:
        """Store pieces; those that are stored already stay as they are."""
        if not pieces:
            return
        try:
            await self._output.bulk_write(
                [InsertOne(_document(one, now)) for one in pieces], ordered=False
            )
        except BulkWriteError as error:
            refused_inserts(error)

    def read(
        self, order_id: str, device_id: str, part: str, stream: str, offset: int
    ) -> AsyncIterator[tuple[int, bytes]]:
        """Return pieces from an offset on, in order, as offset and bytes."""
        return self._read(f"{target_key(order_id, device_id, part)}/{stream}/", offset)

    async def _read(self, prefix: str, offset: int) -> AsyncIterator[tuple[int, bytes]]:
        first = await self._before(prefix, offset)
        query = {"_id": {"$gte": f"{prefix}{first:0{_DIGITS}}", "$lt": f"{prefix}\uffff"}}
        cursor = self._output.find(query).sort("_id", 1).batch_size(_BATCH)
        async for found in cursor:
            begin, data = int(found["offset"]), bytes(found["data"])
            skip = max(offset - begin, 0)
            if skip < len(data):
                yield begin + skip, data[skip:]

    async def _before(self, prefix: str, offset: int) -> int:
        """Return where the piece begins that holds an offset, or would."""
        query = {"_id": {"$gte": prefix, "$lte": f"{prefix}{offset:0{_DIGITS}}"}}
        found = await self._output.find_one(query, {"offset": 1}, sort=[("_id", -1)])
        return offset if found is None else int(found["offset"])


def _document(one: Piece, now: datetime) -> dict[str, Any]:
    return {
        "_id": f"{one.key}/{one.stream}/{one.offset:0{_DIGITS}}",
        "offset": one.offset,
        "data": one.data,
        "stored_time": now,
    }
