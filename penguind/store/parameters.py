"""The parameters' collection: one document for each device and name, also after it was unset."""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING, Any

from pymongo import ReplaceOne
from pymongo.errors import CollectionInvalid

from penguind.domain.parameter import EMAIL, LINKS, LinkMap, Parameter
from penguind.store.translation import translated

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping, Sequence

    from penguind.store.database import Database, Session

_LOCK = "parameters"
_SET: dict[str, list[str]] = {"$ne": []}


@translated
class ParameterStore:
    """Documents `{_id, device_id, hostname, name, values, set_by, set_time}`."""

    def __init__(self, database: Database) -> None:
        self._parameters = database.db["parameters"]
        self._locks = database.db["parameter_locks"]

    async def prepare(self) -> None:
        """Make the collections, which a transaction should not have to, and the index."""
        for collection in (self._parameters, self._locks):
            with suppress(CollectionInvalid):
                await collection.database.create_collection(collection.name)
        await self._parameters.create_index([("device_id", 1), ("name", 1)], unique=True)
        await self._locks.update_one({"_id": _LOCK}, {"$setOnInsert": {"turns": 0}}, upsert=True)

    async def find(
        self, *, names: Collection[str], device_ids: Collection[str] | None = None
    ) -> list[Parameter]:
        """Return what is set, in no order; None means all devices, also deleted ones."""
        query: dict[str, Any] = {"name": {"$in": sorted(names)}, "values": _SET}
        if device_ids is not None:
            query["device_id"] = {"$in": sorted(device_ids)}
        return [_parameter(one) async for one in self._parameters.find(query)]

    async def emails(self, device_ids: Collection[str]) -> dict[str, str]:
        """Return the mail addresses of the users of devices, where one is set."""
        found = await self.find(names=[EMAIL], device_ids=device_ids)
        return {one.device_id: one.values[0] for one in found}

    async def linked(self, device_ids: Collection[str]) -> LinkMap:
        """Return the devices that each one is linked with, where there are any."""
        found = await self.find(names=[LINKS], device_ids=device_ids)
        return {one.device_id: one.values for one in found}

    async def hostnames(self, device_ids: Collection[str]) -> dict[str, str]:
        """Return the hostnames that are kept of devices, for those that were deleted."""
        query = {"device_id": {"$in": sorted(device_ids)}}
        cursor = self._parameters.find(query, {"device_id": 1, "hostname": 1}).sort("set_time", 1)
        return {one["device_id"]: one["hostname"] async for one in cursor}

    async def rename(self, device_id: str, hostname: str) -> None:
        """Keep the hostname of a device that is about to be deleted."""
        await self._parameters.update_many(
            {"device_id": device_id}, {"$set": {"hostname": hostname}}
        )

    async def lock(self, *, session: Session) -> None:
        """Let no other transaction change parameters until this one ends."""
        await self._locks.update_one({"_id": _LOCK}, {"$inc": {"turns": 1}}, session=session)

    async def read(self, device_id: str, name: str, *, session: Session) -> Parameter | None:
        """Return a parameter, also one that was unset."""
        query = {"device_id": device_id, "name": name}
        found = await self._parameters.find_one(query, session=session)
        return None if found is None else _parameter(found)

    async def groups(
        self, device_ids: Collection[str], *, session: Session
    ) -> dict[str, Parameter]:
        """Return the links of devices and of everybody in their groups, by device."""
        found: dict[str, Parameter] = {}
        wanted = set(device_ids)
        while wanted:
            query = {"name": LINKS, "device_id": {"$in": sorted(wanted)}}
            cursor = self._parameters.find(query, session=session)
            found |= {one["device_id"]: _parameter(one) async for one in cursor}
            near = {other for one in found.values() for other in one.values}
            wanted = near - set(found) - wanted
        return found

    async def write(self, parameters: Sequence[Parameter], *, session: Session) -> None:
        """Store parameters in the place of what was there."""
        writes = [
            ReplaceOne({"device_id": one.device_id, "name": one.name}, _document(one), upsert=True)
            for one in parameters
        ]
        if writes:
            await self._parameters.bulk_write(writes, ordered=True, session=session)


def _document(parameter: Parameter) -> dict[str, Any]:
    return {
        "device_id": parameter.device_id,
        "hostname": parameter.hostname,
        "name": parameter.name,
        "values": list(parameter.values),
        "set_by": parameter.set_by,
        "set_time": parameter.set_time,
    }


def _parameter(found: Mapping[str, Any]) -> Parameter:
    return Parameter(
        device_id=found["device_id"],
        hostname=found["hostname"],
        name=found["name"],
        values=tuple(found["values"]),
        set_by=found["set_by"],
        set_time=found["set_time"],
    )
