"""Watch over the tree in force: judge a release on trial, and look at all files every day."""

from __future__ import annotations

import asyncio
import contextlib
from datetime import timedelta
from typing import TYPE_CHECKING

from logbook import Logger

from penguin_agent.builtin import NAME
from penguin_agent.connection import CollectWanted
from penguin_agent.release.gate import DEADLINE, FAILING, judge
from penguindome.errors import PenguinDomeError

if TYPE_CHECKING:
    from collections.abc import Collection

    from penguin_agent.collect.collector import Collected, Collector
    from penguin_agent.collecting import Collecting
    from penguin_agent.link import Link
    from penguin_agent.release.gate_file import Trial
    from penguin_agent.release.releases import Releases
    from penguin_agent.spool import Spool

log = Logger(__name__)

LOOK_PERIOD = timedelta(days=1)
# Something is wrong: it may have been put right, or gpgv had no time.
LOOK_AGAIN_PERIOD = timedelta(minutes=10)


class AgentHealth:
    """How the device is doing, as the agent's parts know it.

    Args:
        releases: The trees.
        link: The connection.
        collector: Runs plugins.
        collecting: Hands on what they said.
    """

    def __init__(
        self, releases: Releases, link: Link, collector: Collector, collecting: Collecting
    ) -> None:
        self._releases = releases
        self._link = link
        self._collector = collector
        self._collecting = collecting
        self._greeted_with = releases.checked.tree.name
        self._checked_in = asyncio.Event()

    def greeting(self) -> int:
        """Return the number of the release for a check-in that begins now."""
        self._greeted_with = self._releases.checked.tree.name
        return self._greeted_with.number

    def welcomed(self) -> None:
        """Note that a check-in completed; one that began before a switch does not count."""
        if self._greeted_with == self._releases.checked.tree.name:
            self._checked_in.set()
        else:
            # It was under way when the switch came, so that there was nothing to hang up yet.
            self.say_hello()

    async def check_in(self) -> None:
        """Return once a check-in completed that began with the tree in force."""
        self._checked_in.clear()
        self.say_hello()
        await self._checked_in.wait()

    def say_hello(self) -> None:
        """Check in anew, so that the server hears which tree is in force."""
        self._link.reconnect()
        self._link.wake(asked=True)

    async def collect(self, names: Collection[str] | None) -> Collected:
        """Run plugins, all of them for None, and hand their outputs on."""
        self._collector.pardon(self._collector.names() if names is None else names)
        return await self._collecting.now(names)


class Keeper:
    """Keeps the tree.

    Args:
        releases: The trees.
        health: How the device is doing.
        spool: Knows what plugins said.
        collecting: Is asked for fresh outputs.
        deadline: How long a release may take to prove itself.
    """

    def __init__(
        self,
        releases: Releases,
        health: AgentHealth,
        spool: Spool,
        collecting: Collecting,
        *,
        deadline: timedelta = DEADLINE,
    ) -> None:
        self._releases = releases
        self._health = health
        self._spool = spool
        self._collecting = collecting
        self._deadline = deadline
        self._wanted = asyncio.Event()
        self._ended = asyncio.Event()
        self._last: Trial | None = None

    async def run(self) -> None:
        """Judge what is on trial, also when nobody asks, and look at the tree now and then."""
        while True:
            trial = await asyncio.to_thread(self._releases.gate.read)
            if trial is not None and trial.is_pending:
                await self._judge(trial)
            with contextlib.suppress(TimeoutError):
                whole = self._releases.checked.is_whole
                period = LOOK_PERIOD if whole else LOOK_AGAIN_PERIOD
                async with asyncio.timeout(period.total_seconds()):
                    await self._wanted.wait()
            if not self._wanted.is_set():
                await asyncio.to_thread(self._releases.look)
            self._wanted.clear()

    def working(self, names: Collection[str]) -> tuple[str, ...]:
        """Return those of some plugins that do not fail now, or have not run."""
        outputs = self._spool.current.outputs
        failing = {name for name, output in outputs.items() if output.status in FAILING}
        return tuple(sorted(set(names) - failing))

    async def judge(self, trial: Trial) -> Trial:
        """Return the trial of the release in force as it ended."""
        self._wanted.set()
        while self._last is None or self._last.order_id != trial.order_id:
            await self._ended.wait()
            self._ended.clear()
        return self._last

    def renew(self, names: Collection[str]) -> None:
        """Have plugins run soon that are others than before."""
        self._collecting.ask(CollectWanted((*names, NAME), ""))

    async def _judge(self, trial: Trial) -> None:
        log.info("Release {} is on trial", trial.name)
        ended = await judge(trial, self._health, self._note, deadline=self._deadline)
        if ended.is_pending:
            ended = await asyncio.to_thread(self._releases.go_back, ended)
            self._collecting.ask(CollectWanted((), ""))
            self._health.say_hello()
        else:
            await asyncio.to_thread(self._releases.gate.write, ended)
            log.info("Release {} has proved itself", trial.name)
        self._last = ended
        self._ended.set()

    def _note(self, trial: Trial) -> None:
        try:
            self._releases.gate.write(trial)
        except PenguinDomeError as error:
            log.warning("How long the release has been on trial is not noted: {}", error)
