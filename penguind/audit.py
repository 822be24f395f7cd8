"""The audit: judges devices after each report, by the clock and on demand.

One coroutine does all of it in small turns, so that a full audit never holds up the verdicts about
a device that has just reported, nor the other way round.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field
from datetime import timedelta
from typing import TYPE_CHECKING

from penguind.domain.device import STATES
from penguind.domain.issue import Issue, closing_reason, may_open, opened_issue
from penguind.domain.verdict import Judged, Verdict
from penguind.store.database import database_errors
from penguindome.errors import PenguinDomeError, Unavailable
from penguindome.logs import logger

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence
    from datetime import datetime

    from penguind.check_loader import CheckLoader, CheckSet
    from penguind.domain.check import Check
    from penguind.store.check_queries import CheckQueries
    from penguind.store.devices import DeviceStore
    from penguind.store.issues import IssueStore
    from penguindome.times import Clock

log = logger("audit")

EVENT_BATCH = 64
FULL_BATCH = 500
MAX_WAITING = 2048
_RETRY_SECONDS = 5.0
_LONGEST_SLEEP_SECONDS = 60.0


@dataclass(slots=True)
class AuditOutcome:
    """What an audit found: how many devices it judged, and the issues that changed."""

    devices: int = 0
    opened: list[Issue] = field(default_factory=list)
    closed: list[Issue] = field(default_factory=list)

    def add(self, other: AuditOutcome) -> None:
        """Take in the outcome of another batch."""
        self.devices += other.devices
        self.opened += other.opened
        self.closed += other.closed


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
        self._checks = checks
        self._queries = queries
        self._devices = devices
        self._issues = issues
        self._push = push
        self._clock = clock
        self._interval = interval
        self._lock = asyncio.Lock()
        self._waiting: dict[str, None] = {}
        self._full: list[str] = []
        self._due_time: datetime | None = None
        self._work = asyncio.Event()
        self._room = asyncio.Event()
        self._room.set()
        self._audited_times: dict[str, datetime] = {}
        self._last_full_time: datetime | None = None

    async def changed(self, device_ids: Sequence[str]) -> None:
        """Have devices judged soon; waits while too many are waiting already."""
        for device_id in device_ids:
            while device_id not in self._waiting and len(self._waiting) >= MAX_WAITING:
                self._room.clear()
                await self._room.wait()
            self._waiting[device_id] = None
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
        ids = await self._all() if device_ids is None else list(dict.fromkeys(device_ids))
        outcome = AuditOutcome()
        for start in range(0, len(ids), FULL_BATCH):
            outcome.add(await self._batch(ids[start : start + FULL_BATCH], now))
        if device_ids is None:
            self._last_full_time = self._clock()
        return outcome

    async def run(self) -> None:
        """Audit for ever: all devices at the start and by the schedule, others as they change."""
        while True:
            try:
                await self._turn()
            except Unavailable as error:
                log.warning("The audit waits: {}", error.text())
                await asyncio.sleep(_RETRY_SECONDS)

    async def _turn(self) -> None:
        """Do one batch of each kind that is due, or wait for work."""
        self._work.clear()
        now = self._clock()
        if self._due_time is None or now >= self._due_time:
            self._full = await self._all()
            self._due_time = now + self._interval
            log.info("A full audit of {} devices begins", len(self._full))
        if not self._waiting and not self._full:
            await self._sleep(self._due_time - now)
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
        except Unavailable:
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

    async def _quietly(self, device_ids: Sequence[str]) -> None:
        """Judge some devices; what cannot be judged must not keep others from it."""
        try:
            await self._batch(device_ids, self._clock())
        except Unavailable:
            raise
        except PenguinDomeError as error:
            log.exception("The audit of {} devices failed: {}", len(device_ids), error.text())

    async def _sleep(self, until_due: timedelta) -> None:
        # Wakes now and then, because a clock that is set moves the schedule without a sound.
        seconds = min(until_due.total_seconds(), _LONGEST_SLEEP_SECONDS)
        try:
            async with asyncio.timeout(max(seconds, 0.05)):
                await self._work.wait()
        except TimeoutError:
            return

    async def _all(self) -> list[str]:
        """Return ids of active devices, and of those that are not but have open issues."""
        with database_errors():
            active = [one.device_id for one in await self._devices.find(states=["active"])]
        return list(dict.fromkeys([*active, *sorted(await self._issues.devices_with_open())]))

    async def _batch(self, device_ids: Sequence[str], now: datetime) -> AuditOutcome:
        """Judge some devices; one batch at a time, so that none acts upon what another changed."""
        now = now.replace(microsecond=now.microsecond // 1000 * 1000)
        async with self._lock:
            checks = self._checks.current
            judged = await self._queries.judge(checks.rules(), device_ids, now)
            standing = await self._issues.find_open(device_ids)
            opened = await self._issues.insert(await self._to_open(checks, judged, standing, now))
            closed = await self._issues.close(await self._to_close(checks, judged, standing, now))
        for one in judged:
            self._audited_times[one.device_id] = now
        self._tell(opened, closed)
        return AuditOutcome(len(judged), opened, closed)

    async def _to_open(
        self, checks: CheckSet, judged: Sequence[Judged], standing: Iterable[Issue], now: datetime
    ) -> list[Issue]:
        known = {(one.device_id, one.name) for one in standing}
        failing = [
            (one, name)
            for one in judged
            for name, verdict in one.verdicts.items()
            if verdict is Verdict.FAIL and (one.device_id, name) not in known
        ]
        if not failing:
            return []
        ended = await self._issues.manually_closed({one.device_id for one, _ in failing})
        wanted: dict[str, list[Check]] = {}
        for one, name in failing:
            if may_open(one, ended.get((one.device_id, name))):
                wanted.setdefault(one.device_id, []).append(checks.checks[name])
        evidence = await self._queries.evidence(wanted)
        return [
            opened_issue(
                check, one, now=now, evidence=evidence.get((one.device_id, check.name), {})
            )
            for one in judged
            for check in wanted.get(one.device_id, ())
        ]

    async def _to_close(
        self, checks: CheckSet, judged: Sequence[Judged], standing: Iterable[Issue], now: datetime
    ) -> list[Issue]:
        by_id = {one.device_id: one for one in judged}
        away = {one.device_id for one in standing} - set(by_id)
        states = await self._absences(away) if away else {}
        closed = []
        for issue in standing:
            one = by_id.get(issue.device_id)
            reason = (
                states.get(issue.device_id)
                if one is None
                else closing_reason(issue, one, checks.checks)
            )
            if reason:
                closed.append(issue.closed(now=now, reason=reason))
        return closed

    async def _absences(self, device_ids: Iterable[str]) -> Mapping[str, str]:
        """Return why devices are not judged, by id."""
        ids = set(device_ids)
        with database_errors():
            found = await self._devices.find(states=STATES, device_ids=ids)
        reasons = dict.fromkeys(ids, "the device was deleted")
        for device in found:
            reasons[device.device_id] = _ABSENCES[device.state]
        return reasons

    def _tell(self, opened: Sequence[Issue], closed: Sequence[Issue]) -> None:
        for issue in opened:
            log.info("Issue {} opened for {} ({})", issue.name, issue.hostname, issue.device_id)
        for issue in closed:
            reason = issue.timeline[-1].reason
            log.info(
                "Issue {} closed for {} ({}): {}",
                issue.name, issue.hostname, issue.device_id, reason,
            )  # fmt: skip
        for device_id in dict.fromkeys(one.device_id for one in (*opened, *closed)):
            self._push(device_id)


# A device that is active but has no state yet keeps its issues.
_ABSENCES = {
    "pending": "the device waits for approval",
    "revoked": "the device was revoked",
    "active": "",
}
