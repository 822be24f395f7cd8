"""Facts about the database itself: which fleet it belongs to, and how often it was restored."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pymongo import ReturnDocument

from penguind.store.translation import translated
from penguindome.errors import PreconditionFailed

if TYPE_CHECKING:
    from penguind.store.database import Database


@translated
class MetaStore:
    """One document that binds the database to a fleet, one that counts its epochs."""

    def __init__(self, database: Database) -> None:
        self._meta = database.db["meta"]

    async def prepare(self) -> None:
        """Nothing to index: there are few documents."""

    async def bind(self, fleet_id: str) -> None:
        """Bind a new database to the fleet, or check that it is bound to it.

        Raises:
            PreconditionFailed: when the database belongs to another fleet.
        """
        await self._meta.update_one(
            {"_id": "fleet"}, {"$setOnInsert": {"fleet_id": fleet_id}}, upsert=True
        )
        found = await self._meta.find_one({"_id": "fleet"})
        bound = "" if found is None else str(found["fleet_id"])
        if bound != fleet_id:
            raise PreconditionFailed(
                f"the database belongs to the fleet {bound}, the settings say {fleet_id}",
                code="other-fleet",
                remedy="set server.fleet_id or the database's name to the one that is meant",
            )

    async def epoch(self) -> int:
        """Return the database's epoch, 0 at first.

        What devices prove by the last thing that they heard here holds within one epoch.
        """
        found = await self._meta.find_one({"_id": "epoch"})
        return 0 if found is None else int(found["number"])

    async def begin_epoch(self) -> int:
        """Begin an epoch and return it: a restored database has forgotten what devices heard."""
        found = await self._meta.find_one_and_update(
            {"_id": "epoch"},
            {"$inc": {"number": 1}},
            upsert=True,
            return_document=ReturnDocument.AFTER,
        )
        return 0 if found is None else int(found["number"])
