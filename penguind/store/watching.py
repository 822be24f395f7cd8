"""What the server's own looks read: a few facts of every device, in one go."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from penguind.domain.facts import DeviceFacts
from penguind.store.states import WRONG_CLOCK
from penguind.store.translation import translated

if TYPE_CHECKING:
    from penguind.store.database import Database

_FIELDS = (
    "hostname",
    "state",
    "agent_version",
    "clock_skew_ms",
    "last_seen_time",
    "certificate_expires_time",
)


@translated
class WatchQueries:
    """Reads devices and states; changes nothing."""

    def __init__(self, database: Database) -> None:
        self._devices = database.db["devices"]
        self._states = database.db["states"]

    async def facts(self) -> list[DeviceFacts]:
        """Return all devices that were let in and not revoked, in no order."""
        wrong = {one["_id"] async for one in self._states.find(WRONG_CLOCK, {"_id": 1})}
        query = {"state": {"$in": ["active", "blocked"]}}
        cursor = self._devices.find(query, dict.fromkeys(_FIELDS, 1))
        return [_facts(one, says_clock_wrong=one["_id"] in wrong) async for one in cursor]


def _facts(found: dict[str, Any], *, says_clock_wrong: bool) -> DeviceFacts:
    return DeviceFacts(
        device_id=found["_id"],
        hostname=found["hostname"],
        state=found["state"],
        agent_version=found.get("agent_version", ""),
        clock_skew_ms=found.get("clock_skew_ms", 0),
        last_seen_time=found.get("last_seen_time"),
        certificate_expires_time=found.get("certificate_expires_time"),
        says_clock_wrong=says_clock_wrong,
    )
