"""Numbers over whole collections, for lists and for the server's status; reads only."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from penguind.store.translation import database_errors, translated

if TYPE_CHECKING:
    from collections.abc import Collection
    from datetime import datetime

    from penguind.store.database import Database


@translated
class Overview:
    """Counts and newest times."""

    def __init__(self, database: Database) -> None:
        self._states = database.db["states"]
        self._issues = database.db["issues"]

    async def last_report_times(self, device_ids: Collection[str]) -> dict[str, datetime]:
        """Return when each device's last report was received; those without one are missing."""
        query: dict[str, Any] = {
            "_id": {"$in": sorted(device_ids)},
            "report.report_id": {"$gt": ""},
        }
        cursor = self._states.find(query, {"report.received_time": 1})
        return {found["_id"]: found["report"]["received_time"] async for found in cursor}

    async def open_issues_by_severity(self) -> dict[str, int]:
        """Return the number of open issues by severity."""
        return await self._open_issues_by("severity")

    async def open_issues_by_name(self) -> dict[str, int]:
        """Return the number of open issues by name."""
        return await self._open_issues_by("name")

    async def _open_issues_by(self, field: str) -> dict[str, int]:
        pipeline: list[dict[str, Any]] = [
            {"$match": {"state": "open"}},
            {"$group": {"_id": f"${field}", "n": {"$sum": 1}}},
            {"$sort": {"_id": 1}},
        ]
        cursor = await self._issues.aggregate(pipeline)
        return {found["_id"]: found["n"] async for found in cursor}


async def server_version(database: Database) -> str:
    """Return the version of the database server."""
    with database_errors():
        facts = await database.client.server_info()
    return str(facts.get("version", "unknown"))
