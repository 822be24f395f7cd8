"""Hand in what waits, oldest first, and act on the server's word about each report.

stored -> deleted; not stored -> a full report in its place; refused for ever -> put aside; anything
else -> later again. One report that always fails does not block the others for ever.
"""

from __future__ import annotations

import asyncio
import contextlib
from datetime import timedelta
from typing import TYPE_CHECKING

from logbook import Logger

from penguin_agent.clock import boottime
from penguindome.errors import (
    Forbidden,
    InvalidInput,
    LimitExceeded,
    PenguinDomeError,
    Unauthenticated,
    Unavailable,
)

if TYPE_CHECKING:
    from collections.abc import Callable
    from datetime import datetime

    from penguin_agent.backoff import Backoff
    from penguin_agent.link import Link
    from penguin_agent.spool import Spool
    from penguindome.reports import Report

log = Logger(__name__)

SHORTEST = timedelta(seconds=1)
LONGEST = timedelta(hours=1)
HOPELESS_FAILURES = 8
STEP_SECONDS = 60.0


class Submitter:
    """Submits from the spool through the link.

    Args:
        spool: the queue.
        link: the connection.
        interval: the least time between ordinary submissions.
        backoff: pauses after failures.
        now: the device's clock.
        steady: seconds that never jump.
    """

    def __init__(
        self,
        spool: Spool,
        link: Link,
        *,
        interval: timedelta,
        backoff: Backoff,
        now: Callable[[], datetime],
        steady: Callable[[], float] = boottime,
    ) -> None:
        self._spool = spool
        self._link = link
        self._interval = interval
        self._backoff = backoff
        self._now = now
        self._steady = steady
        self._wanted = asyncio.Event()
        self._urgent = asyncio.Event()
        self._not_before = 0.0
        self._failures: tuple[str, int] = ("", 0)
        self.accepted_time: datetime | None = None
        self.trouble = ""

    def tune(self, interval: timedelta) -> None:
        """Take another interval, within bounds."""
        self._interval = min(max(interval, SHORTEST), LONGEST)

    def wait(self, span: timedelta) -> None:
        """Hand in nothing ordinary for a while, at most an hour."""
        seconds = min(span, LONGEST).total_seconds()
        self._not_before = max(self._not_before, self._steady() + seconds)

    def wake(self, *, urgent: bool = False) -> None:
        """Say that something waits; `urgent` if somebody waits for it."""
        self._wanted.set()
        if urgent:
            self._urgent.set()

    async def run(self) -> None:
        """Submit for ever."""
        if self._spool.depth:
            self._wanted.set()
        while True:
            await self._wanted.wait()
            await self._link.connected.wait()
            await self._until_due()
            await self._drain()

    async def _until_due(self) -> None:
        while (seconds := self._not_before - self._steady()) > 0 and not self._urgent.is_set():
            with contextlib.suppress(TimeoutError):
                # In short steps, since timers stand still while the machine sleeps.
                async with asyncio.timeout(min(seconds, STEP_SECONDS)):
                    await self._urgent.wait()
        self._urgent.clear()

    async def _drain(self) -> None:
        """Hand in all that waits, unless something fails."""
        self._wanted.clear()
        while (report := self._spool.head()) is not None:
            if not await self._attempt(report):
                self._wanted.set()
                return
        self._not_before = self._steady() + self._interval.total_seconds()

    async def _attempt(self, report: Report) -> bool:
        """Hand in one report; returns whether to go on with the next."""
        connection = self._link.connection
        if connection is None:
            return False
        try:
            answer = await connection.submit(report)
        except PenguinDomeError as error:
            return self._failed(report, error)
        if answer.stored:
            self._spool.acknowledge(report)
            self.accepted_time = self._now()
            self.trouble = ""
            self._backoff.reset()
            return True
        log.info("The server needs a full report")
        self._spool.need_full()
        if report.full:
            # It asks for what it has just got: not a loop at full speed.
            self._pause(0)
        return not report.full

    def _failed(self, report: Report, error: PenguinDomeError) -> bool:
        self.trouble = str(error)
        if isinstance(error, InvalidInput):
            self._put_aside(report, error)
            return True
        if isinstance(error, Unauthenticated):
            self._link.reconnect(renew=True)
        elif self._is_hopeless(report.report_id, error):
            self._put_aside(report, error)
            return True
        log.warning("Report {} is not handed in yet: {}", report.report_id, error)
        slow = isinstance(error, Forbidden | LimitExceeded)
        self._pause(max(error.retry_after_seconds, 30 if slow else 0))
        return False

    def _put_aside(self, report: Report, error: PenguinDomeError) -> None:
        log.error("The server refuses report {} for ever: {}", report.report_id, error)
        self._spool.refuse(report, reason=str(error), subject=error.subject, now=self._now())

    def _is_hopeless(self, report_id: str, error: PenguinDomeError) -> bool:
        """Count failures that are neither the network's nor a matter of time."""
        if isinstance(error, Unavailable | Forbidden) or error.retry_after_seconds:
            return False
        known, count = self._failures
        self._failures = (report_id, count + 1 if known == report_id else 1)
        return self._failures[1] >= HOPELESS_FAILURES

    def _pause(self, seconds: int) -> None:
        self._urgent.clear()
        pause = max(float(seconds), self._backoff.next_seconds())
        self._not_before = self._steady() + min(pause, LONGEST.total_seconds())
