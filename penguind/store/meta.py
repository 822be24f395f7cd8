"""Facts about the database itself: which fleet it belongs to."""

from __future__ import annotations

from typing import TYPE_CHECKING

from penguind.store.translation import translated
from penguindome.errors import PreconditionFailed

if TYPE_CHECKING:
    from penguind.store.database import Database


@translated
class MetaStore:
    """One document that binds the database to a fleet."""

    def __init__(self, database: Database) -> None:
        self._meta = database.db["meta"]

    async def prepare(self) -> None:
        """Nothing to index: there is one document."""

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
