"""The audit: judges devices after each report, by the clock and on demand.

One coroutine does all of it in small turns, so that a full audit never holds up the verdicts about
a device that has just reported, nor the other way round.
"""

from __future__ import annotations

import asyncio
from datetime import timedelta
from typing import TYPE_CHECKING

from penguind.judging import AuditOutcome, Judge
from penguind.workers import heed_cancellation, keep_on
from penguindome.errors import InternalError, InvalidInput, PenguinDomeError
from penguindome.logs import logger

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence
    from datetime import datetime

    from penguind.check_loader import CheckLoader
    from penguind.store.check_queries import CheckQueries
    from penguind.store.devices import DeviceStore
    from penguind.store.issues import IssueStore
    from penguindome.times import Clock

log = logger("audit")

EVENT_BATCH = 64
FULL_BATCH = 250
MAX_WAITING = 2048
_RETRY_SECONDS = 5.0
_LONGEST_SLEEP_SECONDS = 60.0
_REVISIT_INTERVAL = timedelta(minutes=1)


class Auditor:
    """Judges devices and keeps their issues true.

    `push` is told the ids of devices whose verdicts changed, so that they may fetch them.
    """

    def __init__(
        self,
        *,
        checks: CheckLoader,
        queries: CheckQueries,
        devices: DeviceStore,
        issues: IssueStore,
        push: Callable[[str], object],
        clock: Clock,
        interval: timedelta = timedelta(hours=1),
    ) -> None:
        self._judge = Judge(checks=checks, queries=queries, devices=devices, issues=issues)
        self._push = push
        self._clock = clock
        self._interval = interval
        self._waiting: dict[str, None] = {}
        self._full: list[str] = []
        self._withheld: set[str] = set()
        self._due_time: datetime | None = None
        self._revisit_time: datetime | None = None
        self._work = asyncio.Event()
        self._room = asyncio.Event()
        self._room.set()
        self._audited_times: dict[str, datetime] = {}
        self._last_full_time: datetime | None = None

    async def changed(self, device_ids: Sequence[str]) -> None:
        """Have devices judged soon; waits while too many are waiting already."""
        for device_id in device_ids:
            while device_id not in self._waiting and len(self._waiting) >= MAX_WAITING:
                heed_cancellation()
                self._room.clear()
                await self._room.wait()
            self.request([device_id])

    def request(self, device_ids: Iterable[str]) -> None:
        """Have devices judged soon, for example because an operator did something to them."""
        self._waiting |= dict.fromkeys(device_ids)
        self._work.set()

    def request_full(self) -> None:
        """Have all devices judged soon, for example because the checks changed."""
        self._due_time = None
        self._work.set()

    def audited_time(self, device_id: str) -> datetime | None:
        """Return when the device was last judged since the server's start."""
        return self._audited_times.get(device_id)

    @property
    def last_full_time(self) -> datetime | None:
        """Return when an audit of all devices last ended, None before the first one."""
        return self._last_full_time

    async def audit(self, device_ids: Sequence[str] | None, now: datetime) -> AuditOutcome:
        """Judge devices now; None means all of them.

        Raises:
            Unavailable: The database is away; what was found before that is stored.
        """
        ids = await self._judge.everybody() if device_ids is None else [*dict.fromkeys(device_ids)]
        outcome = AuditOutcome()
        for batch in _batches(ids):
            outcome.add(await self._batch(batch, now))
        if device_ids is None:
            self._last_full_time = self._clock()
        return outcome

    async def run(self) -> None:
        """Audit for ever: all devices at the start and by the schedule, others as they change."""
        await keep_on("the audit", self._turn, pause_seconds=_RETRY_SECONDS)

    async def _turn(self) -> None:
        """Do one batch of each kind that is due, or wait for work."""
        self._work.clear()
        now = self._clock()
        if _is_due(self._due_time, now, self._interval):
            self._full = await self._judge.everybody()
            self._due_time = now + self._interval
            log.info("A full audit of {} devices begins", len(self._full))
            self._last_full_time = self._last_full_time if self._full else now
        if _is_due(self._revisit_time, now, _REVISIT_INTERVAL):
            await self._revisit(now)
        if not self._waiting and not self._full:
            await self._sleep((self._due_time or now) - now)
            return
        await self._events()
        await self._some_of_all()

    async def _events(self) -> None:
        ids = list(self._waiting)[:EVENT_BATCH]
        if not ids:
            return
        for device_id in ids:
            del self._waiting[device_id]
        try:
            await self._quietly(ids)
        except PenguinDomeError:
            self._waiting |= dict.fromkeys(ids)
            raise
        finally:
            if len(self._waiting) < MAX_WAITING:
                self._room.set()

    async def _some_of_all(self) -> None:
        if not self._full:
            return
        await self._quietly(self._full[:FULL_BATCH])
        del self._full[:FULL_BATCH]
        if not self._full:
            self._last_full_time = self._clock()

    async def _revisit(self, now: datetime) -> None:
        """Judge what may change without a changed report.

        Such are the silence of a device, and a report that finds again what an operator closed.
        """
        for batch in _batches(sorted(self._withheld)):
            await self._quietly(batch)
        for batch in _batches(await self._judge.unseen()):
            self._tell(await self._judge.judge(batch, now, unseen_only=True))
        self._revisit_time = now + _REVISIT_INTERVAL

    async def _quietly(self, device_ids: Sequence[str]) -> None:
        """Judge some devices; what cannot be judged must not keep others from it."""
        try:
            await self._batch(device_ids, self._clock())
        except (InternalError, InvalidInput) as error:
            log.exception("The audit of {} devices failed: {}", len(device_ids), error.text())

    async def _sleep(self, until_due: timedelta) -> None:
        heed_cancellation()
        # Wakes now and then, because a clock that is set moves the schedule without a sound.
        seconds = min(until_due.total_seconds(), _LONGEST_SLEEP_SECONDS)
        try:
            async with asyncio.timeout(max(seconds, 0.05)):
                await self._work.wait()
        except TimeoutError:
            return

    async def _batch(self, device_ids: Sequence[str], now: datetime) -> AuditOutcome:
        outcome = await self._judge.judge(device_ids, now)
        self._audited_times |= dict.fromkeys(device_ids, now)
        self._withheld.difference_update(device_ids)
        self._withheld |= outcome.withheld
        self._tell(outcome)
        return outcome

    def _tell(self, outcome: AuditOutcome) -> None:
        for issue in outcome.opened:
            log.info("Issue {} opened for {} ({})", issue.name, issue.hostname, issue.device_id)
        for issue in outcome.closed:
            name, reason = issue.name, issue.timeline[-1].reason
            log.info(
                "Issue {} closed for {} ({}): {}", name, issue.hostname, issue.device_id, reason
            )
        changed = (*outcome.opened, *outcome.closed, *outcome.reworded)
        for device_id in dict.fromkeys(one.device_id for one in changed):
            self._push(device_id)


def _batches(ids: Sequence[str]) -> Iterator[Sequence[str]]:
    return (ids[start : start + FULL_BATCH] for start in range(0, len(ids), FULL_BATCH))


def _is_due(due_time: datetime | None, now: datetime, interval: timedelta) -> bool:
    """Tell whether something has to be done; also when the clock was set back."""
    return due_time is None or not timedelta(0) < due_time - now <= interval
