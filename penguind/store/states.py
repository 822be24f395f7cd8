"""What devices last reported, one document for each device."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import pymongo
from pymongo import UpdateOne
from pymongo.errors import CollectionInvalid

from penguind.domain.escaping import unescape_value
from penguind.domain.report_rules import Held, HeldOutput
from penguind.store.translation import translated

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping, Sequence
    from datetime import datetime

    from penguind.domain.report_rules import Step
    from penguind.store.database import Database, Document, Session

RECENT_REPORT_IDS = 64
#: What an agent says of a clock that is off.
WRONG_CLOCK = {"plugins.agent.clock": "wrong"}
_HEAD = {"outputs": 1, "report.state_hash": 1, "recent_report_ids": 1, "following": 1, "first": 1}


@dataclass(frozen=True, slots=True)
class Arrival:
    """Facts about the report that a device sent, besides its contents.

    Attributes:
        base_hash: the state that it builds on; looked at only in `touch`.
        collected_time: by the device's clock.
        received_time: by ours.
        request_id: the collect request that it answers, or empty.
    """

    device_id: str
    report_id: str
    base_hash: bytes
    collected_time: datetime
    received_time: datetime
    boot_id: str
    request_id: str


@dataclass(frozen=True, slots=True)
class Snapshot:
    """The whole state of a device, for people.

    Attributes:
        received_time: of the last report; of the enrollment if there is none (then `report_id`
            is empty).
        outputs: by name.
        values: JSON values by plugin name, keys as the device wrote them.
    """

    report_id: str
    request_id: str
    received_time: datetime
    outputs: tuple[HeldOutput, ...]
    values: Mapping[str, Any]


@translated
class StateStore:
    """Documents `{_id, plugins, outputs, report, recent_report_ids, following, first}`."""

    def __init__(self, database: Database) -> None:
        self._states = database.db["states"]

    async def prepare(self) -> None:
        """Make the collection, which a transaction should not have to, and the index."""
        with suppress(CollectionInvalid):
            await self._states.database.create_collection("states")
        # States are large, and few say that.
        await self._states.create_index(
            "plugins.agent.clock", name="wrong_clocks", partialFilterExpression=WRONG_CLOCK
        )

    async def create(self, device_id: str, now: datetime) -> None:
        """Make the empty state of a new device; an existing one stays as it is."""
        report = {"state_hash": b"", "report_id": "", "boot_id": "", "request_id": ""}
        report_times = {"collected_time": now, "received_time": now}
        empty = {
            "plugins": {},
            "outputs": [],
            "report": report | report_times,
            "recent_report_ids": [],
            "following": [],
            "first": False,
        }
        await self._states.update_one({"_id": device_id}, {"$setOnInsert": empty}, upsert=True)

    async def delete(self, device_id: str) -> None:
        """Forget a device's state."""
        await self._states.delete_one({"_id": device_id})

    async def state_hash(self, device_id: str) -> bytes:
        """Return the hash of what is held; empty if nothing is."""
        found = await self._states.find_one({"_id": device_id}, {"report.state_hash": 1})
        return bytes(found["report"]["state_hash"]) if found is not None else b""

    async def snapshot(self, device_id: str) -> Snapshot | None:
        """Return all that is held of a device."""
        found = await self._states.find_one({"_id": device_id})
        if found is None:
            return None
        outputs = sorted(map(_output_from, found["outputs"]), key=lambda output: output.name)
        return Snapshot(
            report_id=found["report"]["report_id"],
            request_id=found["report"].get("request_id", ""),
            received_time=found["report"]["received_time"],
            outputs=tuple(outputs),
            values={name: unescape_value(value) for name, value in found["plugins"].items()},
        )

    async def read(
        self,
        device_ids: Collection[str],
        *,
        plugins: Collection[str] | None,
        session: Session,
    ) -> dict[str, Held]:
        """Return what is held, by device.

        Args:
            device_ids: unknown ones are left out of the answer.
            plugins: names whose values are needed; None for all.
            session: the transaction.
        """
        values = {"plugins": 1} if plugins is None else {f"plugins.{name}": 1 for name in plugins}
        cursor = self._states.find(
            {"_id": {"$in": list(device_ids)}},
            _HEAD | values,
            session=session,
            batch_size=len(device_ids) + 1,
        )
        return {found["_id"]: _held_from(found) async for found in cursor}

    async def touch(self, arrivals: Sequence[Arrival], *, seconds: float) -> bool:
        """Note that devices reported an unchanged state.

        Returns:
            Whether all of them have the base that they named; where not, their times stay.
        """
        updates = [
            UpdateOne(
                {"_id": arrival.device_id, "report.state_hash": arrival.base_hash},
                {"$set": {f"report.{name}": value for name, value in _arrived(arrival).items()}},
            )
            for arrival in arrivals
        ]
        with pymongo.timeout(seconds):
            done = await self._states.bulk_write(updates, ordered=False)
        return done.matched_count == len(arrivals)

    async def apply(self, steps: Sequence[tuple[Arrival, Step]], *, session: Session) -> None:
        """Write what reports change."""
        updates = [
            UpdateOne({"_id": arrival.device_id}, _update(arrival, step)) for arrival, step in steps
        ]
        await self._states.bulk_write(updates, ordered=False, session=session)


def _update(arrival: Arrival, step: Step) -> Document:
    changed: Document = {
        "report": {"state_hash": step.state_hash, **_arrived(arrival)},
        "following": sorted(step.following),
        "first": step.first,
    }
    if step.rewritten:
        changed["outputs"] = [_output_document(output) for output in step.outputs]
    else:
        for index in step.touched:
            changed[f"outputs.{index}"] = _output_document(step.outputs[index])
    for name, value in step.set_plugins.items():
        changed[f"plugins.{name}"] = value
    recent = {"$each": [arrival.report_id], "$slice": -RECENT_REPORT_IDS}
    update: Document = {"$set": changed, "$push": {"recent_report_ids": recent}}
    if step.unset_plugins:
        update["$unset"] = {f"plugins.{name}": "" for name in step.unset_plugins}
    return update


def _arrived(arrival: Arrival) -> Document:
    return {
        "report_id": arrival.report_id,
        "collected_time": arrival.collected_time,
        "received_time": arrival.received_time,
        "boot_id": arrival.boot_id,
        "request_id": arrival.request_id,
    }


def _held_from(found: Mapping[str, Any]) -> Held:
    return Held(
        state_hash=bytes(found["report"]["state_hash"]),
        outputs=tuple(map(_output_from, found["outputs"])),
        plugins=found.get("plugins", {}),
        recent_report_ids=tuple(found["recent_report_ids"]),
        following=frozenset(found["following"]),
        first=found.get("first", False),
    )


def _output_from(stored: Mapping[str, Any]) -> HeldOutput:
    return HeldOutput(
        name=stored["name"],
        status=stored["status"],
        reason=stored["reason"],
        local=stored["local"],
        hash=stored["hash"],
        collected_time=stored["collected_time"],
        cached_time=stored["cached_time"],
        size_bytes=stored["size_bytes"],
    )


def _output_document(output: HeldOutput) -> Document:
    return {
        "name": output.name,
        "status": output.status,
        "reason": output.reason,
        "local": output.local,
        "hash": output.hash,
        "collected_time": output.collected_time,
        "cached_time": output.cached_time,
        "size_bytes": output.size_bytes,
    }
