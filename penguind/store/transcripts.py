"""The recordings' collections: pieces as devices signed them, and what there is of each session."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from pymongo.errors import DuplicateKeyError

from penguind.store.translation import translated
from penguindome.shell.transcript import Piece

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Collection, Mapping
    from datetime import datetime

    from penguind.store.database import Database

_DIGITS = 8
_BATCH = 8


@dataclass(frozen=True, slots=True)
class Recorded:
    """What there is of a session's recording."""

    pieces: int = 0
    size_bytes: int = 0
    is_sealed: bool = False
    is_complete: bool = False


@translated
class TranscriptStore:
    """Pieces by session and number."""

    def __init__(self, database: Database) -> None:
        self._pieces = database.db["transcripts"]

    async def prepare(self) -> None:
        """Create the indexes."""
        await self._pieces.create_index("stored_time")
        await self._pieces.create_index([("order_id", 1), ("number", 1)])

    async def add(
        self, order_id: str, number: int, piece: Piece, now: datetime, *, final: bool
    ) -> bool:
        """Store a piece; False if there is one of that number, which stays as it is."""
        try:
            await self._pieces.insert_one(
                {
                    "_id": f"{order_id}/{number:0{_DIGITS}}",
                    "order_id": order_id,
                    "number": number,
                    "data": piece.data,
                    "sealed": piece.is_sealed,
                    "checkpoint": piece.checkpoint,
                    "signature": piece.signature,
                    "size_bytes": len(piece.data),
                    "final": final,
                    "stored_time": now,
                }
            )
        except DuplicateKeyError:
            return False
        return True

    async def read(self, order_id: str, number: int) -> AsyncIterator[tuple[int, Piece]]:
        """Return pieces from a number on, in order."""
        query = {"order_id": order_id, "number": {"$gte": number}}
        cursor = self._pieces.find(query).sort("number", 1).batch_size(_BATCH)
        async for found in cursor:
            yield found["number"], _piece(found)

    async def recorded(self, order_ids: Collection[str]) -> dict[str, Recorded]:
        """Return what there is of each session that has a recording."""
        pipeline: list[dict[str, Any]] = [
            {"$match": {"order_id": {"$in": sorted(order_ids)}}},
            {
                "$group": {
                    "_id": "$order_id",
                    "pieces": {"$sum": 1},
                    "size": {"$sum": "$size_bytes"},
                    "sealed": {"$max": "$sealed"},
                    "final": {"$max": "$final"},
                }
            },
        ]
        cursor = await self._pieces.aggregate(pipeline)
        return {
            found["_id"]: Recorded(
                found["pieces"], found["size"], bool(found["sealed"]), bool(found["final"])
            )
            async for found in cursor
        }


def _piece(found: Mapping[str, Any]) -> Piece:
    return Piece(
        data=bytes(found["data"]),
        checkpoint=bytes(found["checkpoint"]),
        signature=bytes(found["signature"]),
        is_sealed=found["sealed"],
    )
