"""The outbox: alerts that wait to be sent, and what became of those before.

Trust in what is told once: alerts are inserted in the transaction that marks their issues as told,
and only if nobody told of them since they were read.
"""

from __future__ import annotations

from dataclasses import fields
from typing import TYPE_CHECKING, Any

from penguind.domain.alert import Alert
from penguind.store.translation import translated

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping, Sequence
    from datetime import datetime, timedelta

    from penguind.domain.issue import Issue
    from penguind.store.database import Database, Session

_DIGEST = {"_id": "digest"}


@translated
class OutboxStore:
    """Alerts by id, and when the last digest was."""

    def __init__(self, database: Database) -> None:
        self._alerts = database.db["outbox"]
        self._schedule = database.db["alert_schedule"]
        self._issues = database.db["issues"]

    async def prepare(self) -> None:
        """Create the indexes, and the collections, which a transaction shall not have to make."""
        await self._alerts.create_index([("channel", 1), ("state", 1), ("next_attempt_time", 1)])
        await self._alerts.create_index([("state", 1), ("created_time", -1)])
        await self._schedule.update_one(_DIGEST, {"$setOnInsert": {"last_time": None}}, upsert=True)

    async def insert(self, alerts: Sequence[Alert], *, session: Session) -> None:
        """Store new alerts."""
        if alerts:
            await self._alerts.insert_many([_document(one) for one in alerts], session=session)

    async def still_due(self, issues: Sequence[Issue], *, session: Session) -> list[Issue]:
        """Return those that are open, and were neither told of nor snoozed since they were read.

        Within a transaction that marks them as told, this holds until its end: of two, one fails.
        """
        query = {"_id": {"$in": [one.issue_id for one in issues]}, "state": "open"}
        wanted = {"alerted_time": 1, "snoozed_until_time": 1}
        found = {
            one["_id"]: (one.get("alerted_time"), one.get("snoozed_until_time"))
            async for one in self._issues.find(query, wanted, session=session)
        }
        return [
            one
            for one in issues
            if found.get(one.issue_id, ("",)) == (one.alerted_time, one.snoozed_until_time)
        ]

    async def any_open(self, issue_ids: Collection[str]) -> bool:
        """Tell whether one of the issues is still open."""
        query = {"_id": {"$in": sorted(issue_ids)}, "state": "open"}
        return await self._issues.find_one(query, {"_id": 1}) is not None

    async def last_digest(self) -> datetime | None:
        """Return when the last digest was due; None if there was none."""
        found = await self._schedule.find_one(_DIGEST)
        return None if found is None else found["last_time"]

    async def pass_digest(self, last: datetime | None, due: datetime, *, session: Session) -> bool:
        """Note that a digest was made; False if another server made it."""
        result = await self._schedule.update_one(
            {**_DIGEST, "last_time": last}, {"$set": {"last_time": due}}, session=session
        )
        return result.matched_count == 1

    async def claim(
        self, channel: str, holder: str, now: datetime, lease: timedelta
    ) -> Alert | None:
        """Take the alert that waited longest, for the time of the lease; as it was before.

        Whoever does not say in time what came of it loses it to the next.
        """
        found = await self._alerts.find_one_and_update(
            {"channel": channel, "state": "waiting", "next_attempt_time": {"$lte": now}},
            {
                "$set": {
                    "holder": holder,
                    "next_attempt_time": now + lease,
                    "perhaps_delivered": True,
                },
                "$inc": {"attempts": 1},
            },
            sort=[("next_attempt_time", 1)],
        )
        return None if found is None else _alert({**found, "attempts": found["attempts"] + 1})

    async def settle(self, alert: Alert, holder: str) -> None:
        """Store what came of an alert that was claimed; that it was sent counts always."""
        query = {"_id": alert.alert_id, "state": "waiting"}
        if alert.state != "sent":
            query["holder"] = holder
        values = _document(alert)
        changed = {name: values[name] for name in _CHANGING}
        await self._alerts.update_one(query, {"$set": changed, "$unset": {"holder": ""}})

    async def newest_first(self, states: Collection[str], limit: int) -> list[Alert]:
        """Return alerts; no states mean all."""
        query: dict[str, Any] = {"state": {"$in": sorted(states)}} if states else {}
        cursor = self._alerts.find(query).sort([("created_time", -1), ("_id", -1)]).limit(limit)
        return [_alert(found) async for found in cursor]

    async def retry(self, alert_ids: Collection[str], now: datetime, give_up_time: datetime) -> int:
        """Have failed alerts tried again; no ids mean all. Returns how many."""
        query: dict[str, Any] = {"state": "failed"}
        if alert_ids:
            query["_id"] = {"$in": sorted(alert_ids)}
        result = await self._alerts.update_many(
            query,
            {
                "$set": {
                    "state": "waiting",
                    "next_attempt_time": now,
                    "give_up_time": give_up_time,
                }
            },
        )
        return result.modified_count

    async def fail_other_channels(self, channels: Collection[str], reason: str) -> int:
        """End the waiting of alerts whose channel there is no more. Returns how many."""
        result = await self._alerts.update_many(
            {"state": "waiting", "channel": {"$nin": sorted(channels)}},
            {"$set": {"state": "failed", "next_attempt_time": None, "last_error": reason}},
        )
        return result.modified_count

    async def count_by_state(self) -> dict[str, int]:
        """Return the number of alerts by state."""
        pipeline: list[dict[str, Any]] = [{"$group": {"_id": "$state", "n": {"$sum": 1}}}]
        cursor = await self._alerts.aggregate(pipeline)
        return {found["_id"]: found["n"] async for found in cursor}

    async def count_failed(self) -> int:
        """Return how many alerts nobody got."""
        return await self._alerts.count_documents({"state": "failed"})


_CHANGING = (
    "state",
    "attempts",
    "sent_time",
    "next_attempt_time",
    "last_error",
    "perhaps_delivered",
)
_FIELDS = tuple(field.name for field in fields(Alert) if field.name != "alert_id")


def _document(alert: Alert) -> dict[str, Any]:
    values = {name: getattr(alert, name) for name in _FIELDS}
    values["issue_ids"] = list(alert.issue_ids)
    return {"_id": alert.alert_id, "channel": alert.channel, **values}


def _alert(found: Mapping[str, Any]) -> Alert:
    values = {name: found[name] for name in _FIELDS}
    values["issue_ids"] = tuple(found["issue_ids"])
    return Alert(alert_id=found["_id"], **values)
