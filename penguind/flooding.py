"""Find devices that keep handing in reports although they are told to wait.

A device that heeds the server is refused once and waits. One that is refused many times in a row
does not: the issue `agent-flooding` names it, until it behaved for an hour or an operator closes
it. Its reports are held up by the quota alone; its identity is not touched.
"""

from __future__ import annotations

import asyncio
from datetime import timedelta
from typing import TYPE_CHECKING

from penguind.own_issues import Finding, OwnIssues
from penguind.workers import heed_cancellation, keep_on
from penguindome.errors import LimitExceeded

if TYPE_CHECKING:
    from datetime import datetime

    from penguind.rates import ReportRates
    from penguind.store.devices import DeviceStore
    from penguindome.times import Clock

ISSUE = "agent-flooding"
REFUSALS = 20
QUIET_PERIOD = timedelta(hours=1)
_LOOK_SECONDS = 60.0


class FloodWatch:
    """The report quota, which remembers who breaks it; `run` keeps the issues in line.

    Args:
        rates: the quota.
        issues: opens and closes issues.
        devices: knows who is still there.
        clock: tells the time.
        look_seconds: how often ends are looked for.
    """

    def __init__(
        self,
        *,
        rates: ReportRates,
        issues: OwnIssues,
        devices: DeviceStore,
        clock: Clock,
        look_seconds: float = _LOOK_SECONDS,
    ) -> None:
        self._rates = rates
        self._issues = issues
        self._devices = devices
        self._clock = clock
        self._look_seconds = look_seconds
        self._breaches: dict[str, datetime] = {}
        self._found = asyncio.Event()

    def take(self, device_id: str, size_bytes: int, now: datetime) -> None:
        """Count a report.

        Raises:
            LimitExceeded: the device handed in too much; says when to come again.
        """
        try:
            self._rates.take(device_id, size_bytes, now)
        except LimitExceeded:
            if self._rates.refused(device_id) >= REFUSALS:
                if device_id not in self._breaches:
                    self._found.set()
                self._breaches[device_id] = now
            raise

    async def run(self) -> None:
        """Open and close issues for ever."""
        await keep_on(f"looking at issues {ISSUE}", self._turn)

    async def _turn(self) -> None:
        self._found.clear()
        await self._look(self._clock())
        heed_cancellation()
        try:
            async with asyncio.timeout(self._look_seconds):
                await self._found.wait()
        except TimeoutError:
            return

    async def _look(self, now: datetime) -> None:
        for device_id in await self._issues.remembered(ISSUE):
            # What happened before the server's start is not known: the hour begins anew.
            self._breaches.setdefault(device_id, now)
        for device_id, last in list(self._breaches.items()):
            if now - last >= QUIET_PERIOD:
                del self._breaches[device_id]
        there = await self._devices.find(states=["active"], device_ids=self._breaches)
        reason = f"{REFUSALS} reports in a row came in spite of the quota"
        await self._issues.reconcile(
            ISSUE,
            [Finding(one.device_id, one.hostname, reason) for one in there],
            now,
            gone="the device behaved for an hour",
        )
