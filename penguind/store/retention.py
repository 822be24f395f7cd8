"""Deleting what has become old, a little at a time, found by indexes."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pymongo

from penguind.store.translation import translated

if TYPE_CHECKING:
    from datetime import datetime

    from penguind.domain.retention import Kind
    from penguind.store.database import Database

#: Small enough that reports wait for it no longer than for one another.
BATCH = 500
_SECONDS = 20.0


@translated
class OldThings:
    """Whatever the kinds of the retention table name."""

    def __init__(self, database: Database) -> None:
        self._db = database.db

    async def prepare(self) -> None:
        """Make the index that no other query needed; tokens and invitations are few."""
        await self._db["redemptions"].create_index([("expires_time", 1)])

    async def delete_some(self, kind: Kind, before: datetime) -> int:
        """Delete at most a batch, the oldest first; returns how many."""
        query: dict[str, Any] = {**kind.only, kind.time_field: {"$lt": before}}
        collection = self._db[kind.collection]
        with pymongo.timeout(_SECONDS):
            cursor = collection.find(query, {"_id": 1}).sort(kind.time_field, 1).limit(BATCH)
            ids = [found["_id"] async for found in cursor]
            if not ids:
                return 0
            # Repeated: what a person changed meanwhile is perhaps no longer old.
            result = await collection.delete_many({**query, "_id": {"$in": ids}})
        return int(result.deleted_count)
