"""The devices' collection."""

from __future__ import annotations

from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from pymongo import ReturnDocument
from pymongo.errors import DuplicateKeyError

from penguind.domain.device import Approval, Device, DeviceState
from penguind.domain.enrollment import HINT_KINDS
from penguind.store.translation import translated

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Mapping, Sequence
    from datetime import datetime

    from penguind.store.database import Database

_SERIALS_KEPT = 16


@translated
class DeviceStore:
    """Devices by id."""

    def __init__(self, database: Database) -> None:
        self._devices = database.db["devices"]

    async def prepare(self) -> None:
        """Create the indexes."""
        await self._devices.create_index("hostname")
        await self._devices.create_index([("state", 1), ("hostname", 1), ("_id", 1)])
        await self._devices.create_index("revoked_time", sparse=True)
        await self._devices.create_index("blocked_time", sparse=True)
        await self._devices.create_index("suspended_time", sparse=True)
        for kind in sorted(HINT_KINDS):
            await self._devices.create_index(f"hints.{kind}", sparse=True)

    async def insert(self, device: Device) -> bool:
        """Store a new device; False if the id exists already."""
        try:
            await self._devices.insert_one(_document(device))
        except DuplicateKeyError:
            return False
        return True

    async def get(self, device_id: str) -> Device | None:
        """Return the device, or None."""
        found = await self._devices.find_one({"_id": device_id})
        return None if found is None else _device(found)

    async def find(
        self,
        *,
        states: Collection[DeviceState] = ("pending", "active"),
        device_ids: Collection[str] | None = None,
    ) -> list[Device]:
        """Return devices by hostname, then id; `device_ids` narrows them."""
        query: dict[str, Any] = {"state": {"$in": sorted(states)}}
        if device_ids is not None:
            query["_id"] = {"$in": sorted(device_ids)}
        cursor = self._devices.find(query).sort([("hostname", 1), ("_id", 1)])
        return [_device(found) async for found in cursor]

    async def named(self, hostname: str) -> list[Device]:
        """Return the devices with a hostname that are not revoked, by id."""
        query = {"hostname": hostname, "state": {"$ne": "revoked"}}
        return [_device(found) async for found in self._devices.find(query).sort("_id", 1)]

    async def with_hints(self, hints: Mapping[str, bytes]) -> list[Device]:
        """Return devices, in any state, that share a hardware hint; kinds were checked before."""
        alternatives = [{f"hints.{kind}": value} for kind, value in sorted(hints.items())]
        if not alternatives:
            return []
        return [_device(found) async for found in self._devices.find({"$or": alternatives})]

    async def count_by_state(self) -> dict[str, int]:
        """Return the number of devices by state."""
        pipeline = [{"$group": {"_id": "$state", "n": {"$sum": 1}}}]
        cursor = await self._devices.aggregate(pipeline)
        return {found["_id"]: found["n"] async for found in cursor}

    async def add_certificate(
        self, device_id: str, serial: str, expires_time: datetime, pending_spki: bytes | None
    ) -> bool:
        """Record a certificate of an active device before it is handed out.

        A `pending_spki` is accepted beside the recorded key until it is used first.
        """
        change: dict[str, Any] = {
            "$push": {"serials": {"$each": [serial], "$slice": -_SERIALS_KEPT}},
            "$set": {"certificate_expires_time": expires_time},
        }
        if pending_spki is not None:
            change["$set"]["pending_spki"] = pending_spki
        result = await self._devices.update_one({"_id": device_id, "state": "active"}, change)
        return result.matched_count == 1

    async def promote_key(self, device_id: str, spki: bytes, fingerprint: str) -> None:
        """Make the pending key the device's only one, at its first use."""
        await self._devices.update_one(
            {"_id": device_id, "pending_spki": spki},
            {"$set": {"spki": spki, "fingerprint": fingerprint}, "$unset": {"pending_spki": ""}},
        )

    async def activate(self, device_id: str, by: str, approval: Approval, now: datetime) -> bool:
        """Let a pending device in; False if it is not pending any more."""
        change = {
            "state": "active",
            "approved_by": by,
            "approval": _approval_document(approval),
            "last_seen_time": now,
        }
        result = await self._devices.update_one(
            {"_id": device_id, "state": "pending"}, {"$set": change}
        )
        return result.matched_count == 1

    async def suspend_dormant(self, device_id: str) -> None:
        """Make an active device wait for a new approval."""
        await self._devices.update_one(
            {"_id": device_id, "state": "active"}, {"$set": {"state": "pending"}}
        )

    async def revoke(self, device_id: str, reason: str, now: datetime) -> Device | None:
        """End a device's identity; returns it as it is now, None if there is none."""
        await self._devices.update_one(
            {"_id": device_id, "state": {"$ne": "revoked"}},
            {"$set": {"state": "revoked", "revoked_time": now, "revoked_reason": reason}},
        )
        return await self.get(device_id)

    async def block(self, device_id: str, by: str, reason: str, now: datetime) -> bool:
        """Cut an active device off until it is unblocked; False if it is not active."""
        change = {
            "state": "blocked",
            "blocked_time": now,
            "blocked_by": by,
            "blocked_reason": reason,
        }
        result = await self._devices.update_one(
            {"_id": device_id, "state": "active"}, {"$set": change}
        )
        return result.matched_count == 1

    async def unblock(self, device_id: str) -> bool:
        """Let a blocked device in again; False if it is not blocked."""
        result = await self._devices.update_one(
            {"_id": device_id, "state": "blocked"},
            {
                "$set": {"state": "active", "blocked_by": "", "blocked_reason": ""},
                "$unset": {"blocked_time": ""},
            },
        )
        return result.matched_count == 1

    async def find_suspended(self, device_ids: Collection[str] | None = None) -> list[Device]:
        """Return devices that were suspended, also those that have reported since."""
        query: dict[str, Any] = {"suspended_time": {"$exists": True}}
        if device_ids is not None:
            query["_id"] = {"$in": sorted(device_ids)}
        return [_device(found) async for found in self._devices.find(query)]

    async def suspend(self, device: Device, by: str, reason: str, now: datetime) -> bool:
        """Suspend a device; False if somebody else did since it was read."""
        change = {"suspended_time": now, "suspended_by": by, "suspended_reason": reason}
        result = await self._devices.update_one(_as_suspended(device), {"$set": change})
        return result.matched_count == 1

    async def unsuspend(self, device: Device) -> bool:
        """End a suspension; False if it is not the one that was read any more."""
        change = {
            "$set": {"suspended_by": "", "suspended_reason": ""},
            "$unset": {"suspended_time": ""},
        }
        result = await self._devices.update_one(_as_suspended(device), change)
        return result.matched_count == 1

    async def ended_since(self, time: datetime) -> list[str]:
        """Return ids of devices that were revoked or blocked at or after a time."""
        since = {"$gte": time}
        query = {"$or": [{"revoked_time": since}, {"blocked_time": since}]}
        return [found["_id"] async for found in self._devices.find(query, {"_id": 1})]

    async def delete(self, device_id: str) -> bool:
        """Remove a revoked device; False if there is none."""
        result = await self._devices.delete_one({"_id": device_id, "state": "revoked"})
        return result.deleted_count == 1

    async def label(
        self, device_id: str, add: Iterable[str], remove: Iterable[str]
    ) -> tuple[str, ...] | None:
        """Change labels; returns all of them, sorted, or None if there is no such device."""
        kept = {"$setDifference": ["$labels", sorted(remove)]}
        change = {"$sortArray": {"input": {"$setUnion": [kept, sorted(add)]}, "sortBy": 1}}
        found = await self._devices.find_one_and_update(
            {"_id": device_id},
            [{"$set": {"labels": change}}],
            return_document=ReturnDocument.AFTER,
        )
        return None if found is None else tuple(found["labels"])

    async def run_release(self, device_ids: Collection[str], number: int) -> None:
        """Note the release that devices run."""
        await self._devices.update_many(
            {"_id": {"$in": sorted(device_ids)}}, {"$set": {"release": number}}
        )

    async def seen(self, device_id: str, now: datetime, **facts: str | int | Sequence[str]) -> None:
        """Record a sign of life.

        `facts` are hostname, agent_version, os_name, peer_address, clock_skew_ms, listener,
        release, denied.
        """
        await self._devices.update_one(
            {"_id": device_id}, {"$set": {**facts, "last_seen_time": now}}
        )

    async def seen_many(self, device_ids: Sequence[str], now: datetime) -> None:
        """Record a sign of life of several devices."""
        await self._devices.update_many(
            {"_id": {"$in": list(device_ids)}}, {"$set": {"last_seen_time": now}}
        )


def _as_suspended(device: Device) -> dict[str, Any]:
    # None finds documents without the field.
    return {"_id": device.device_id, "suspended_time": device.suspended_time}


def _approval_document(approval: Approval) -> dict[str, Any]:
    return {**asdict(approval), "signatures": list(approval.signatures)}


def _document(device: Device) -> dict[str, Any]:
    document = {name: value for name, value in asdict(device).items() if value is not None}
    document["_id"] = document.pop("device_id")
    document["serials"] = list(device.serials)
    document["labels"] = sorted(device.labels)
    document["denied"] = list(device.denied)
    document["hints"] = dict(device.hints)
    if device.approval is not None:
        document["approval"] = _approval_document(device.approval)
    return document


def _device(found: Mapping[str, Any]) -> Device:
    values = {**found, "device_id": found["_id"]}
    del values["_id"]
    approval = found.get("approval")
    values["hints"] = {kind: bytes(value) for kind, value in found.get("hints", {}).items()}
    values["serials"] = tuple(found.get("serials", ()))
    values["labels"] = tuple(found.get("labels", ()))
    values["denied"] = tuple(found.get("denied", ()))
    values["approval"] = None if approval is None else _approval(approval)
    known = {name: values[name] for name in Device.__slots__ if name in values}
    return Device(**known)


def _approval(found: Mapping[str, Any]) -> Approval:
    return Approval(found["kind"], bytes(found["payload"]), tuple(map(bytes, found["signatures"])))
