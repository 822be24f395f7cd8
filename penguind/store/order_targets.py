"""The targets' collection: what became of each order on each device.

The server ends a target by itself only while it was never sent: each such write says so in its
condition, so that no sending can come between. `changed_time` is the database's own time.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from pymongo import InsertOne, UpdateOne
from pymongo.errors import BulkWriteError

from penguind.domain.order import NEVER_SENT, UNFINISHED, Target, target_key
from penguind.domain.order_delivery import Unheard
from penguind.store.duplicates import refused_inserts
from penguind.store.order_documents import TOUCH, before, change, document_of, target_from
from penguind.store.translation import translated

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping, Sequence
    from datetime import datetime

    from penguind.store.database import Database, Session


@translated
class OrderTargetStore:
    """Targets by order, device and part."""

    def __init__(self, database: Database) -> None:
        self._targets = database.db["order_targets"]

    async def prepare(self) -> None:
        """Create the indexes, and so the collection, which a transaction should not have to."""
        targets = self._targets
        await targets.create_index([("order_id", 1), ("part", 1), ("state", 1)])
        await targets.create_index([("order_id", 1), ("changed_time", 1)])
        await targets.create_index([("device_id", 1), ("state", 1)])
        await targets.create_index([("state", 1), ("expires_time", 1)])
        await targets.create_index([("state", 1), ("queued_time", 1)])
        await targets.create_index([("kind", 1), ("state", 1)])
        await targets.create_index("claim", sparse=True)
        await targets.create_index("order_ended_time", sparse=True)
        # Only an unfinished patch has paths: one that is wanted twice breaks this.
        await targets.create_index(
            [("device_id", 1), ("paths", 1)],
            name="one_patch",
            unique=True,
            partialFilterExpression={"paths": {"$exists": True}},
        )

    async def insert(self, targets: Sequence[Target], now: datetime, *, session: Session) -> None:
        """Store the targets of a new order; other servers find by the time what is queued."""
        if targets:
            documents = [{**document_of(one), "queued_time": now} for one in targets]
            await self._targets.insert_many(documents, ordered=False, session=session)

    async def add(self, targets: Sequence[Target]) -> list[Target]:
        """Store targets that may be there already; returns those that were not."""
        if not targets:
            return []
        taken: set[int] = set()
        try:
            await self._targets.bulk_write(
                [InsertOne(document_of(one)) for one in targets], ordered=False
            )
        except BulkWriteError as error:
            taken = refused_inserts(error)
        added = [one for number, one in enumerate(targets) if number not in taken]
        # An insert cannot take the database's time, by which watchers find it.
        await self._targets.update_many({"_id": {"$in": [one.key for one in added]}}, TOUCH)
        return added

    async def of_order(self, order_id: str) -> list[Target]:
        """Return an order's targets, in no order."""
        return [target_from(found) async for found in self._targets.find({"order_id": order_id})]

    async def changes(
        self, order_id: str, since: datetime | None
    ) -> tuple[list[Target], datetime | None]:
        """Return an order's targets that changed since a time, None for all, and the last change.

        The time is the database's; None if none of them was ever changed.
        """
        query: dict[str, Any] = {"order_id": order_id}
        if since is not None:
            query["changed_time"] = {"$gte": since}
        found = await self._targets.find(query).to_list()
        times = [one["changed_time"] for one in found if "changed_time" in one]
        return [target_from(one) for one in found], max(times, default=None)

    async def of_device(self, device_id: str, order_ids: Collection[str]) -> list[Target]:
        """Return a device's targets, with all parts, of some orders."""
        query = {"device_id": device_id, "order_id": {"$in": sorted(order_ids)}}
        return [target_from(found) async for found in self._targets.find(query)]

    async def get(self, order_id: str, device_id: str, part: str = "") -> Target | None:
        """Return one target, or None."""
        query = {"order_id": order_id, "device_id": device_id, "part": part}
        found = await self._targets.find_one(query)
        return None if found is None else target_from(found)

    async def named(self, order_ids: Collection[str], device_ids: Collection[str]) -> list[Target]:
        """Return the targets of several orders on several devices, without parts."""
        query = {
            "order_id": {"$in": sorted(order_ids)},
            "device_id": {"$in": sorted(device_ids)},
            "part": "",
        }
        return [target_from(found) async for found in self._targets.find(query)]

    async def conflicting(
        self, device_ids: Collection[str], paths: Collection[str]
    ) -> list[Target]:
        """Return unfinished patches of any of the paths on any of the devices, by hostname."""
        query = {"device_id": {"$in": sorted(device_ids)}, "paths": {"$in": sorted(paths)}}
        cursor = self._targets.find(query).sort([("order_id", 1), ("hostname", 1)])
        return [target_from(found) async for found in cursor]

    async def patching(self, paths: Collection[str]) -> list[str]:
        """Return ids of patches of any of the paths that a device has not been sent."""
        query = {
            "kind": "patch", "state": {"$in": list(NEVER_SENT)}, "paths": {"$in": sorted(paths)},
        }  # fmt: skip
        return sorted(await self._targets.distinct("order_id", query))

    async def unheard(self, device_ids: Collection[str], now: datetime) -> list[Unheard]:
        """Return what is queued for devices or was sent and not answered; nothing expired."""
        query = {
            "device_id": {"$in": sorted(device_ids)},
            "state": {"$in": ["queued", "sent"]},
            "part": "",
            "expires_time": {"$gt": now},
        }
        wanted = {"order_id": 1, "device_id": 1, "state": 1, "urgent": 1}
        return [
            Unheard(found["order_id"], found["device_id"], found["state"], found["urgent"])
            async for found in self._targets.find(query, wanted)
        ]

    async def asked_again(
        self, device_ids: Collection[str], states: Collection[str], limit: int
    ) -> list[Target]:
        """Return what was sent to devices and is in one of the states, the oldest first."""
        query = {
            "device_id": {"$in": sorted(device_ids)},
            "state": {"$in": sorted(states)},
            "part": "",
        }
        cursor = self._targets.find(query).sort("order_id", 1).limit(limit)
        return [target_from(found) async for found in cursor]

    async def claim(self, wanted: Sequence[Unheard], claim: str, now: datetime) -> set[str]:
        """Mark queued targets as sent; returns the keys of those that nobody else took."""
        ids = [target_key(one.order_id, one.device_id) for one in wanted]
        sent = {"$set": {"state": "sent", "sent_time": now, "claim": claim}, **TOUCH}
        result = await self._targets.update_many(
            {"_id": {"$in": ids}, "state": "queued", "expires_time": {"$gt": now}}, sent
        )
        if result.modified_count == len(ids):
            return set(ids)
        return {found["_id"] async for found in self._targets.find({"claim": claim}, {"_id": 1})}

    async def queue(self, order_id: str, now: datetime) -> None:
        """Let the waiting targets of an order be sent."""
        await self._targets.update_many(
            {"order_id": order_id, "state": "waiting"},
            {"$set": {"state": "queued", "queued_time": now}, **TOUCH},
        )

    async def lately_queued(self, since: datetime) -> set[str]:
        """Return the devices for which something was queued since a time, and not sent."""
        query = {"state": "queued", "queued_time": {"$gte": since}}
        return set(await self._targets.distinct("device_id", query))

    async def end_unsent(
        self, query: Mapping[str, Any], *, state: str, reason: str, code: str, now: datetime
    ) -> int:
        """End targets that were never sent; `query` narrows them. Returns how many."""
        return await self._end(
            {**query, "state": {"$in": list(NEVER_SENT)}}, state, reason, code, now
        )

    async def end_silent(self, before: datetime, *, reason: str, code: str, now: datetime) -> int:
        """End what was sent and expired before a time, and was not heard of since."""
        query = {
            "state": {"$in": ["sent", "accepted", "running"]},
            "expires_time": {"$lt": before},
        }
        return await self._end(query, "expired", reason, code, now)

    async def _end(
        self, query: Mapping[str, Any], state: str, reason: str, code: str, now: datetime
    ) -> int:
        ended = {
            "state": state, "reason": reason, "code": code, "ended_time": now, "vouched": False,
        }  # fmt: skip
        result = await self._targets.update_many(
            dict(query), {"$set": ended, "$unset": {"paths": ""}, **TOUCH}
        )
        return result.modified_count

    async def mark_cancelling(self, keys: Collection[str]) -> None:
        """Note that a cancellation of unfinished targets is under way."""
        await self._targets.update_many(
            {"_id": {"$in": sorted(keys)}, "state": {"$in": list(UNFINISHED)}},
            {"$set": {"cancelling": True}, **TOUCH},
        )

    async def hear(self, targets: Sequence[Target], held: Mapping[str, Mapping[str, int]]) -> None:
        """Store what devices said, if nothing newer is stored; `held` is output by key and field.

        A final word is stored unless there is one, others only if their number is the highest.
        """
        writes = [UpdateOne(before(one), change(one)) for one in targets]
        writes += [
            UpdateOne({"_id": key}, {"$max": dict(most), **TOUCH}) for key, most in held.items()
        ]
        if writes:
            await self._targets.bulk_write(writes, ordered=True)

    async def cut(self, keys: Collection[str]) -> None:
        """Note that programs printed more than is kept."""
        await self._targets.update_many(
            {"_id": {"$in": sorted(keys)}, "truncated": False},
            {"$set": {"truncated": True}, **TOUCH},
        )

    async def counts(self, order_ids: Collection[str]) -> dict[str, dict[str, int]]:
        """Return how many devices are in each state, by order."""
        match = {"order_id": {"$in": sorted(order_ids)}, "part": ""}
        group = {"_id": {"order_id": "$order_id", "state": "$state"}, "n": {"$sum": 1}}
        cursor = await self._targets.aggregate([{"$match": match}, {"$group": group}])
        found: dict[str, dict[str, int]] = {}
        async for one in cursor:
            found.setdefault(one["_id"]["order_id"], {})[one["_id"]["state"]] = one["n"]
        return found

    async def orders_with(
        self, *, device_ids: Collection[str] | None, states: Collection[str]
    ) -> list[str]:
        """Return ids of orders for one of the devices (None: any) in one of the states (or any)."""
        query: dict[str, Any] = {"part": ""}
        if device_ids is not None:
            query["device_id"] = {"$in": sorted(device_ids)}
        if states:
            query["state"] = {"$in": sorted(states)}
        cursor = await self._targets.aggregate(
            [{"$match": query}, {"$group": {"_id": "$order_id"}}]
        )
        return [found["_id"] async for found in cursor]

    async def with_unfinished(self, order_ids: Collection[str]) -> set[str]:
        """Return those of the orders of which a target has not ended."""
        query = {"order_id": {"$in": sorted(order_ids)}, "state": {"$in": list(UNFINISHED)}}
        return set(await self._targets.distinct("order_id", query))

    async def order_ended(self, order_ids: Collection[str], now: datetime) -> None:
        """Let the age of orders' targets begin."""
        await self._targets.update_many(
            {"order_id": {"$in": sorted(order_ids)}, "order_ended_time": {"$exists": False}},
            {"$set": {"order_ended_time": now}},
        )

    async def unfinished_patches(self) -> list[Target]:
        """Return patches that devices have yet to take, the oldest first."""
        query = {"kind": "patch", "state": {"$in": list(UNFINISHED[1:])}}
        return [target_from(found) async for found in self._targets.find(query).sort("order_id", 1)]

    async def refused_since(self, time: datetime, codes: Collection[str]) -> list[Target]:
        """Return what devices refused since a time for one of the reasons, the oldest first."""
        query = {
            "state": "refused",
            "code": {"$in": sorted(codes)},
            "ended_time": {"$gte": time},
        }
        cursor = self._targets.find(query).sort("ended_time", 1)
        return [target_from(found) async for found in cursor]

    async def unsent_device_ids(self) -> list[str]:
        """Return the devices for which something waits or is queued."""
        query = {"state": {"$in": list(NEVER_SENT)}}
        return list(await self._targets.distinct("device_id", query))
