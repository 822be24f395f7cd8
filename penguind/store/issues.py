"""The issues' collection: at most one open issue per device and name."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from pymongo import InsertOne, UpdateOne
from pymongo.errors import BulkWriteError

from penguind.domain.issue import SERVER, SUBJECT, Issue, TimelineEvent
from penguind.store.duplicates import refused_inserts
from penguind.store.issue_documents import (
    closing,
    document_of,
    event_document,
    evidence_of,
    issue_from,
    pushed,
    snoozing,
    words,
)
from penguind.store.translation import translated

if TYPE_CHECKING:
    from collections.abc import Collection, Sequence
    from datetime import datetime

    from penguind.store.database import Database, Session

Pair = tuple[str, str]

_LIST_LIMIT = 5000
# Small enough for a list of thousands: what only one issue's own page shows stays away.
_SUMMARY = {"timeline": 0, "evidence": 0}


@translated
class IssueStore:
    """Issues by id."""

    def __init__(self, database: Database) -> None:
        self._issues = database.db["issues"]

    async def prepare(self) -> None:
        """Create the indexes."""
        await self._issues.create_index(
            [("device_id", 1), ("name", 1)],
            name="one_open",
            unique=True,
            partialFilterExpression={"state": "open"},
        )
        await self._issues.create_index([("device_id", 1), ("closed_time", -1)])
        await self._issues.create_index([("state", 1), ("name", 1)])
        await self._issues.create_index([("state", 1), ("closed_time", -1)])
        # Each audit asks what operators closed; of all that was ever closed, that is little.
        await self._issues.create_index(
            [("device_id", 1), ("name", 1), ("closed_time", -1)],
            name="closed_by_operators",
            partialFilterExpression={"closed_by": {"$exists": True}},
        )
        await self._issues.create_index(
            [("name", 1), ("device_id", 1)],
            name="held_by_operators",
            partialFilterExpression={"holds": True},
        )

    async def insert(self, issues: Sequence[Issue]) -> list[Issue]:
        """Store new open issues; returns those that were not open already."""
        if not issues:
            return []
        refused: set[int] = set()
        try:
            await self._issues.bulk_write(
                [InsertOne(document_of(one)) for one in issues], ordered=False
            )
        except BulkWriteError as error:
            refused = refused_inserts(error)
        return [one for number, one in enumerate(issues) if number not in refused]

    async def close(self, issues: Sequence[Issue]) -> list[Issue]:
        """Store issues that were closed; returns those that were open until now."""
        if not issues:
            return []
        writes = [UpdateOne({"_id": one.issue_id, "state": "open"}, closing(one)) for one in issues]
        result = await self._issues.bulk_write(writes, ordered=False)
        if result.matched_count == len(issues):
            return list(issues)
        found = await self._issues.find(
            {"_id": {"$in": [one.issue_id for one in issues]}}
        ).to_list()
        stored = {one.issue_id: one for one in map(issue_from, found)}
        return [one for one in issues if _is_ours(one, stored.get(one.issue_id))]

    async def reword(self, issues: Sequence[Issue], *, evidence: bool = False) -> None:
        """Store the words, severity and grace of issues that are still open; and the evidence."""
        writes = [
            UpdateOne(
                {"_id": one.issue_id, "state": "open"},
                {"$set": words(one) | (evidence_of(one) if evidence else {})},
            )
            for one in issues
        ]
        if writes:
            await self._issues.bulk_write(writes, ordered=False)

    async def mark_alerted(
        self,
        issue_ids: Collection[str],
        now: datetime,
        reason: str,
        session: Session | None = None,
    ) -> None:
        """Note that people were told of open issues, within the caller's transaction if any."""
        event = event_document(TimelineEvent(now, "alerted", SERVER, reason))
        await self._issues.update_many(
            {"_id": {"$in": sorted(issue_ids)}, "state": "open"},
            {"$set": {"alerted_time": now}, "$push": pushed(event)},
            session=session,
        )

    async def snooze(self, issues: Sequence[Issue]) -> list[Issue]:
        """Store that issues are snoozed; returns those that are open, with it."""
        writes = [
            UpdateOne({"_id": one.issue_id, "state": "open"}, snoozing(one)) for one in issues
        ]
        if not writes:
            return []
        await self._issues.bulk_write(writes, ordered=False)
        wanted = {one.issue_id: one.snoozed_until_time for one in issues}
        now = await self.get_many(wanted)
        return [one for one in now if one.open and one.snoozed_until_time == wanted[one.issue_id]]

    async def find_own(
        self, name: str, device_ids: Collection[str] | None, *, held: bool = False
    ) -> list[Issue]:
        """Return open issues of a name with their evidence; None means all devices.

        With `held`, return those that an operator closed while what was found went on.
        """
        query: dict[str, Any] = {"name": name} | ({"holds": True} if held else {"state": "open"})
        if device_ids is not None:
            query["device_id"] = {"$in": sorted(device_ids)}
        found = await self._issues.find(query, {"timeline": 0}).to_list()
        return [issue_from(one) for one in found]

    async def release(self, issues: Sequence[Issue]) -> None:
        """Let what operators closed come back from now on."""
        if issues:
            ids = [one.issue_id for one in issues]
            await self._issues.update_many({"_id": {"$in": ids}}, {"$unset": {"holds": ""}})

    async def get(self, issue_id: str) -> Issue | None:
        """Return the issue with evidence and timeline, or None."""
        found = await self._issues.find_one({"_id": issue_id})
        return None if found is None else issue_from(found)

    async def get_many(self, issue_ids: Collection[str]) -> list[Issue]:
        """Return the issues that exist among the ids, complete."""
        found = await self._issues.find({"_id": {"$in": sorted(issue_ids)}}).to_list()
        return [issue_from(one) for one in found]

    async def find_open(
        self, device_ids: Collection[str] | None = None, *, name: str | None = None
    ) -> list[Issue]:
        """Return open issues without evidence and timeline; None means all devices."""
        query: dict[str, Any] = {"state": "open"}
        if device_ids is not None:
            query["device_id"] = {"$in": sorted(device_ids)}
        if name is not None:
            query["name"] = name
        found = await self._issues.find(query, _SUMMARY).to_list()
        return [issue_from(one) for one in found]

    async def open_subjects(self) -> dict[str, str]:
        """Return the ids of what has open issues and is no device, by the name that people see."""
        query = {"state": "open", "device_id": {"$gte": SUBJECT, "$lt": f"{SUBJECT}\uffff"}}
        found = await self._issues.find(query, {"hostname": 1, "device_id": 1}).to_list()
        return {one["hostname"]: one["device_id"] for one in found}

    async def find_closed(self, device_ids: Collection[str] | None = None) -> list[Issue]:
        """Return at most 5,000 closed issues, the last closed first, without evidence."""
        query: dict[str, Any] = {"state": "closed"}
        if device_ids is not None:
            query["device_id"] = {"$in": sorted(device_ids)}
        cursor = self._issues.find(query, _SUMMARY).sort("closed_time", -1).limit(_LIST_LIMIT)
        return [issue_from(one) async for one in cursor]

    async def open_names(self, device_ids: Collection[str] | None = None) -> dict[str, list[str]]:
        """Return the sorted names of open issues by device id."""
        match: dict[str, Any] = {"state": "open"}
        if device_ids is not None:
            match["device_id"] = {"$in": sorted(device_ids)}
        group = {"_id": "$device_id", "names": {"$push": "$name"}}
        cursor = await self._issues.aggregate([{"$match": match}, {"$group": group}])
        return {one["_id"]: sorted(one["names"]) async for one in cursor}

    async def devices_with_all(self, names: Collection[str]) -> set[str]:
        """Return ids of devices that have an open issue of each name."""
        match = {"state": "open", "name": {"$in": sorted(names)}}
        group = {"_id": "$device_id", "names": {"$addToSet": "$name"}}
        cursor = await self._issues.aggregate([{"$match": match}, {"$group": group}])
        return {one["_id"] async for one in cursor if len(one["names"]) == len(set(names))}

    async def devices_with_open(self, names: Collection[str] | None = None) -> set[str]:
        """Return ids of all devices that have an open issue of any of the names; None means all."""
        query: dict[str, Any] = {"state": "open"}
        if names is not None:
            query["name"] = {"$in": sorted(names)}
        return set(await self._issues.distinct("device_id", query))

    async def manually_closed(self, device_ids: Collection[str]) -> dict[Pair, datetime]:
        """Return when an operator last closed an issue, by device id and name."""
        match = {
            "device_id": {"$in": sorted(device_ids)},
            "state": "closed",
            "closed_by": {"$exists": True},
        }
        group = {
            "_id": {"device_id": "$device_id", "name": "$name"},
            "time": {"$max": "$closed_time"},
        }
        cursor = await self._issues.aggregate([{"$match": match}, {"$group": group}])
        return {(one["_id"]["device_id"], one["_id"]["name"]): one["time"] async for one in cursor}

    async def delete_of_device(self, device_id: str) -> int:
        """Remove all issues of a device; returns how many there were."""
        result = await self._issues.delete_many({"device_id": device_id})
        return result.deleted_count


def _is_ours(closed: Issue, stored: Issue | None) -> bool:
    """Tell whether the stored issue was closed by our write and not by another."""
    if stored is None or stored.open or not stored.timeline:
        return False
    ours, theirs = closed.timeline[-1], stored.timeline[-1]
    near = closed.closed_time is not None and stored.closed_time is not None
    return near and (ours.actor, ours.reason) == (theirs.actor, theirs.reason)
