"""The server's own look at the fleet and itself, once a minute."""

from __future__ import annotations

import asyncio
from datetime import timedelta
from typing import TYPE_CHECKING

from penguind.identity.authority import DEVICE_LIFETIME
from penguind.watch import devices as rules
from penguind.watch import expiry
from penguind.workers import heed_cancellation, keep_on

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime

    from penguind.config import AgentsSettings
    from penguind.domain.facts import DeviceFacts
    from penguind.own_issues import OwnIssues
    from penguind.store.watching import WatchQueries
    from penguind.watch.server_ends import ServerEnds
    from penguindome.times import Clock

CLOCKS = "clock-skew"
NAMES = "duplicate-hostname"
VERSIONS = "agent-outdated"
EVERY = timedelta(minutes=1)
_PAUSE_SECONDS = 1.0


class Watch:
    """Keeps the issues in line that no check can find; `run` has to run.

    Args:
        queries: read what is known of devices.
        issues: opens and closes issues.
        ends: knows what ends on the server itself.
        settings: what is asked of agents.
        server_version: the server's own.
        clock: tells the time; a minute is one by this clock.
    """

    def __init__(
        self,
        *,
        queries: WatchQueries,
        issues: OwnIssues,
        ends: ServerEnds,
        settings: AgentsSettings,
        server_version: str,
        clock: Clock,
    ) -> None:
        self._queries = queries
        self._issues = issues
        self._ends = ends
        self._settings = settings
        self._server_version = server_version
        self._clock = clock
        self._looked_time: datetime | None = None
        self._lock = asyncio.Lock()

    async def run(self) -> None:
        """Look for ever."""
        await keep_on("the server's own looks", self._turn)

    async def look(self, now: datetime) -> None:
        """Look at everything now.

        Raises:
            Unavailable: the database is away.
        """
        async with self._lock:
            devices = await self._queries.facts()
            await self._look_at(devices, now)
            await self._look_for_ends(devices, now)

    async def _look_at(self, devices: Sequence[DeviceFacts], now: datetime) -> None:
        reconcile = self._issues.reconcile
        clocks = rules.wrong_clocks(devices, self._settings.clock_tolerance)
        await reconcile(CLOCKS, clocks, now, gone="the clock is right")
        await reconcile(NAMES, rules.same_names(devices), now, gone="the hostname is its own")
        outdated = rules.outdated_agents(
            devices,
            server_version=self._server_version,
            minimum_version=self._settings.minimum_version,
        )
        await reconcile(VERSIONS, outdated, now, gone="the agent is new enough")

    async def _look_for_ends(self, devices: Sequence[DeviceFacts], now: datetime) -> None:
        ending = [expiry.expiry_finding(one, now) for one in await self._ends.all()]
        found = [one for one in ending if one is not None]
        found += rules.unrenewed_certificates(devices, DEVICE_LIFETIME, now)
        await self._issues.reconcile(expiry.NAME, found, now, gone="it was renewed")

    async def _turn(self) -> None:
        now, looked = self._clock(), self._looked_time
        if looked is None or not looked <= now < looked + EVERY:
            await self.look(now)
            self._looked_time = now
        heed_cancellation()
        await asyncio.sleep(_PAUSE_SECONDS)
