"""The collection of address ranges that roles are limited to."""

from __future__ import annotations

from typing import TYPE_CHECKING

from penguind.store.translation import translated

if TYPE_CHECKING:
    from collections.abc import Sequence

    from penguind.store.database import Database


@translated
class RoleRangeStore:
    """Networks by role; a role without a document may be used from everywhere."""

    def __init__(self, database: Database) -> None:
        self._ranges = database.db["role_ranges"]

    async def prepare(self) -> None:
        """Nothing to index: there are as many documents as roles at most."""

    async def all(self) -> dict[str, tuple[str, ...]]:
        """Return the networks of each role that has any, by role."""
        cursor = self._ranges.find({}).sort("_id", 1)
        return {found["_id"]: tuple(found["ranges"]) async for found in cursor}

    async def put(self, role: str, ranges: Sequence[str]) -> None:
        """Set a role's networks; none lifts the limit."""
        if ranges:
            document = {"_id": role, "ranges": list(ranges)}
            await self._ranges.replace_one({"_id": role}, document, upsert=True)
        else:
            await self._ranges.delete_one({"_id": role})
