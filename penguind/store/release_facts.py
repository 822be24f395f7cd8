"""What became of releases on devices, read from the targets of orders; nothing here writes."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from penguind.store.translation import translated

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping

    from penguind.store.database import Database

_TEXTS = ("device_id", "hostname", "state", "reason", "code")
_WANTED = dict.fromkeys((*_TEXTS, "order_id"), 1)


@dataclass(frozen=True, slots=True)
class Taken:
    """What became of one release on one device."""

    device_id: str
    hostname: str
    state: str
    reason: str
    code: str
    number: int


@translated
class ReleaseFacts:
    """Reads targets of releases; parts, which are standing scripts, do not count."""

    def __init__(self, database: Database) -> None:
        self._targets = database.db["order_targets"]

    async def states(self, order_id: str) -> dict[str, str]:
        """Return the state of an order on each device that was sent it, by device id."""
        query = {"order_id": order_id, "part": ""}
        cursor = self._targets.find(query, {"device_id": 1, "state": 1})
        return {one["device_id"]: one["state"] async for one in cursor}

    async def newest(
        self, numbers: Mapping[str, int], device_ids: Collection[str] | None = None
    ) -> dict[str, Taken]:
        """Return what became of the newest release that each device was sent.

        Args:
            numbers: the releases that count: their numbers by order id.
            device_ids: only these devices; None means all.
        """
        query: dict[str, Any] = {"order_id": {"$in": sorted(numbers)}, "part": ""}
        if device_ids is not None:
            query["device_id"] = {"$in": sorted(device_ids)}
        found: dict[str, Taken] = {}
        async for one in self._targets.find(query, _WANTED):
            taken = Taken(number=numbers[one["order_id"]], **{name: one[name] for name in _TEXTS})
            former = found.get(taken.device_id)
            if former is None or former.number < taken.number:
                found[taken.device_id] = taken
        return found
