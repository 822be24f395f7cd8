"""Collect when something is due or somebody asks, and put what changed into the spool.

Nothing polls: the loop sleeps until the next plugin is due.
"""

from __future__ import annotations

import asyncio
import contextlib
from typing import TYPE_CHECKING, Any

from logbook import Logger

from penguin_agent.builtin import NAME, agent_output
from penguin_agent.clock import boottime
from penguin_agent.release.verify import Checked
from penguindome.errors import PenguinDomeError

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Mapping, Sequence

    from penguin_agent.clock import DeviceClock
    from penguin_agent.collect.collector import Collected, Collector
    from penguin_agent.collect.schedule import Schedule
    from penguin_agent.connection import CollectWanted
    from penguin_agent.dead_letters import DeadLetters
    from penguin_agent.spool import Spool
    from penguin_agent.submitter import Submitter

log = Logger(__name__)

# What becomes due a little later runs along, so that a laptop wakes once and not thirty times.
SLACK_SECONDS = 45.0
REQUESTS_WAITING = 16
RETRY_SECONDS = 60.0


class Collecting:
    """The collecting loop.

    Args:
        collector: runs plugins.
        schedule: knows when.
        spool: keeps what was found.
        submitter: is told.
        dead_letters: are counted in the output `agent`.
        clock: the device's.
        boot_id: the kernel's.
        version: the agent's.
        checked: returns the tree of signed files in force, of which the output `agent` tells.
        denied: kinds of orders that the device's settings forbid.
        refused_orders: returns how many envelopes of a week were no orders, and why.
        steady: seconds that never jump and count sleep.
    """

    def __init__(
        self,
        *,
        collector: Collector,
        schedule: Schedule,
        spool: Spool,
        submitter: Submitter,
        dead_letters: DeadLetters,
        clock: DeviceClock,
        boot_id: str,
        version: str,
        checked: Callable[[], Checked] = Checked,
        denied: Sequence[str] = (),
        refused_orders: Callable[[], Mapping[str, Any]] = dict,
        steady: Callable[[], float] = boottime,
    ) -> None:
        self._collector = collector
        self._schedule = schedule
        self._spool = spool
        self._submitter = submitter
        self._dead_letters = dead_letters
        self._clock = clock
        self._boot_id = boot_id
        self._version = version
        self._checked = checked
        self._denied = denied
        self._refused_orders = refused_orders
        self._steady = steady
        self._requests: asyncio.Queue[CollectWanted | None] = asyncio.Queue(REQUESTS_WAITING)
        self._cost = 0.0
        self._asked_time = 0.0

    def ask(self, wanted: CollectWanted) -> bool:
        """Have plugins run soon; returns False if too many requests wait."""
        try:
            self._requests.put_nowait(wanted)
        except asyncio.QueueFull:
            log.warning("Too many requests to collect wait; {!r} is dropped", wanted.request_id)
            return False
        return True

    def wake(self) -> None:
        """Have the schedule looked at again: timers stood still while the machine slept."""
        with contextlib.suppress(asyncio.QueueFull):
            self._requests.put_nowait(None)

    async def run(self) -> None:
        """Collect for ever."""
        while True:
            # The agent's own output is due like any other: a device without plugins reports too.
            names = (*await asyncio.to_thread(self._collector.names), NAME)
            due = self._schedule.due(names, self._steady() + SLACK_SECONDS)
            if due:
                await self._collect(due)
            pause = self._schedule.next_time(names, self._steady()) - self._steady()
            try:
                async with asyncio.timeout(max(pause, 1.0)):
                    wanted = await self._requests.get()
            except TimeoutError:
                continue
            if wanted is not None:
                await self._answer(wanted)

    async def _answer(self, wanted: CollectWanted) -> None:
        """Collect because somebody asked, but never more than a third of the time."""
        rest = self._asked_time + 2 * self._cost - self._steady()
        if rest > 0:
            await asyncio.sleep(rest)
        started = self._steady()
        await self._collect(wanted.plugins or None, wanted.request_id)
        self._asked_time = self._steady()
        self._cost = self._asked_time - started

    async def _collect(self, names: Collection[str] | None, request_id: str = "") -> None:
        try:
            await self.now(names, request_id)
        except (PenguinDomeError, OSError) as error:
            log.warning("Nothing could be collected: {}", error)
            await asyncio.sleep(RETRY_SECONDS)

    async def now(self, names: Collection[str] | None, request_id: str = "") -> Collected:
        """Collect now, hand on what was found, and return it.

        Args:
            names: Which plugins; None means all.
            request_id: The request that this answers.

        Raises:
            PenguinDomeError: Nothing could be collected.
            OSError: The same.
        """
        collected = await self._collector.collect(names)
        ran = collected.present if names is None else names
        self._schedule.ran({*ran, NAME}, self._steady())
        if not collected.dropped:
            self._record(collected, request_id)
        return collected

    def _record(self, collected: Collected, request_id: str) -> None:
        now = self._clock.now()
        checked = self._checked()
        own = agent_output(
            version=self._version,
            dead_letters=self._dead_letters.count(),
            benched=self._collector.benched(),
            problems=collected.problems,
            clock_wrong=self._clock.is_wrong(),
            release=checked.tree.name.number,
            altered=checked.altered,
            denied=self._denied,
            refused_orders=self._refused_orders(),
            now=now,
        )
        gone = set(self._spool.current.outputs) - {*collected.present, NAME}
        changed = self._spool.record(
            (*collected.outputs, own), gone, now=now, boot_id=self._boot_id, request_id=request_id
        )
        log.debug("Collected {} outputs, changed: {}", len(collected.outputs), changed)
        self._submitter.wake(urgent=bool(request_id))
