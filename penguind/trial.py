"""Try a check on all devices without touching any issue."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from datetime import datetime

    from penguind.domain.check import Check
    from penguind.domain.verdict import Judged
    from penguind.store.check_queries import CheckQueries
    from penguind.store.devices import DeviceStore

_BATCH = 500


class CheckTrial:
    """Says what a check finds now, or would find."""

    def __init__(self, *, queries: CheckQueries, devices: DeviceStore) -> None:
        self._queries = queries
        self._devices = devices

    async def run(self, check: Check, now: datetime) -> list[Judged]:
        """Return the check's verdict about each active device; none for a check without a rule."""
        if check.fails is None:
            return []
        ids = [one.device_id for one in await self._devices.find(states=["active"])]
        judged: list[Judged] = []
        for start in range(0, len(ids), _BATCH):
            judged += await self._queries.judge([check], ids[start : start + _BATCH], now)
        return judged
