"""Take a sample of server and fleet each quarter of an hour, and tell what was."""

from __future__ import annotations

import asyncio
from datetime import timedelta
from typing import TYPE_CHECKING, NoReturn

from penguind.domain.history import SLOT, Sample, slot, spread
from penguind.workers import keep_on

if TYPE_CHECKING:
    from collections.abc import Callable
    from datetime import datetime

    from penguind.presence import Presence
    from penguind.store.devices import DeviceStore
    from penguind.store.history import HistoryStore
    from penguind.store.overview import Overview
    from penguindome.times import Clock

DAY = timedelta(days=1)
MOST_SAMPLES = 500
# A clock that is set must not leave a gap of hours.
_LOOK_SECONDS = 30.0


class History:
    """Samples; its `run` has to run.

    `reports_stored` counts the reports since the server's start.
    """

    def __init__(
        self,
        *,
        store: HistoryStore,
        devices: DeviceStore,
        overview: Overview,
        presence: Presence,
        reports_stored: Callable[[], int],
        clock: Clock,
    ) -> None:
        self._store = store
        self._devices = devices
        self._overview = overview
        self._presence = presence
        self._reports_stored = reports_stored
        self._clock = clock
        self._taken: datetime | None = None
        self._counted = 0

    async def run(self) -> NoReturn:
        """Take samples until cancelled; a new server waits for the next quarter."""
        self._taken = slot(self._clock())
        await keep_on("the history", self._turn)

    async def list(self, since: datetime, limit: int = 0) -> list[Sample]:
        """Return samples from a time on, oldest first, at most 500, evenly spread."""
        most = min(limit, MOST_SAMPLES) or MOST_SAMPLES
        return spread(await self._store.since(since), most)

    async def take(self) -> Sample:
        """Take the present quarter's sample, unless another server has."""
        now = self._clock()
        counted = self._reports_stored()
        sample = Sample(
            time=slot(now),
            connected_devices=self._presence.count(),
            devices=await self._devices.count_by_state(),
            open_issues=await self._overview.open_issues_by_severity(),
            open_by_name=await self._overview.open_issues_by_name(),
            reporting_devices=await self._store.count_reporting(now - DAY),
            reports_stored=counted - self._counted,
        )
        if await self._store.insert(sample):
            self._counted = counted
        self._taken = sample.time
        return sample

    async def _turn(self) -> None:
        await asyncio.sleep(_LOOK_SECONDS)
        present = slot(self._clock())
        if self._taken is None or abs(present - self._taken) >= SLOT:
            await self.take()
