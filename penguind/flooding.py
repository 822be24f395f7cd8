"""Find devices that keep handing in reports although they are told to wait.

A device that heeds the server is refused once and waits. One that is refused many times in a row
does not: the issue `agent-flooding` names it, until it behaved for an hour or an operator closes
it. Its reports are held up by the quota alone; its identity is not touched.
"""

from __future__ import annotations

import asyncio
from datetime import timedelta
from typing import TYPE_CHECKING

from penguind.domain.issue import opened_issue
from penguind.domain.verdict import Judged
from penguindome.errors import LimitExceeded, PenguinDomeError
from penguindome.logs import logger

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable
    from datetime import datetime

    from penguind.check_loader import CheckLoader
    from penguind.rates import ReportRates
    from penguind.store.issues import IssueStore
    from penguindome.times import Clock

log = logger("penguind.flooding")

ISSUE = "agent-flooding"
REFUSALS = 20
QUIET_PERIOD = timedelta(hours=1)
_LOOK_SECONDS = 60.0


class FloodWatch:
    """The report quota, which remembers who breaks it; `run` keeps the issues in line.

    Args:
        rates: the quota.
        issues: where issues are kept.
        checks: have the issue's words; without them, nothing is opened.
        hostname: looks up what a device calls itself.
        push: is told the ids of devices whose verdicts changed.
        clock: tells the time.
        look_seconds: how often ends are looked for.
    """

    def __init__(
        self,
        *,
        rates: ReportRates,
        issues: IssueStore,
        checks: CheckLoader,
        hostname: Callable[[str], Awaitable[str]],
        push: Callable[[str], object],
        clock: Clock,
        look_seconds: float = _LOOK_SECONDS,
    ) -> None:
        self._rates = rates
        self._issues = issues
        self._checks = checks
        self._hostname = hostname
        self._push = push
        self._clock = clock
        self._look_seconds = look_seconds
        self._breaches: dict[str, datetime] = {}
        self._fresh: set[str] = set()
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
                self._note(device_id, now)
            raise

    async def run(self) -> None:
        """Open and close issues for ever."""
        task = asyncio.current_task()
        # The driver may swallow a cancellation that comes in the middle of its work.
        while task is not None and not task.cancelling():
            try:
                await self._open()
                await self._close(self._clock())
            except PenguinDomeError as error:
                log.warning("Issues {} are not looked at now: {}", ISSUE, error.text())
            try:
                async with asyncio.timeout(self._look_seconds):
                    await self._found.wait()
            except TimeoutError:
                continue
        raise asyncio.CancelledError

    def _note(self, device_id: str, now: datetime) -> None:
        # Once for each flood: what an operator closed does not come back while it lasts.
        if device_id not in self._breaches:
            self._fresh.add(device_id)
            self._found.set()
        self._breaches[device_id] = now

    async def _open(self) -> None:
        self._found.clear()
        check = self._checks.current.get(ISSUE)
        for device_id in sorted(self._fresh):
            if check is not None:
                judged = Judged(device_id, await self._hostname(device_id), None)
                reason = f"{REFUSALS} reports in a row came in spite of the quota"
                issue = opened_issue(
                    check, judged, now=self._breaches[device_id], evidence={},
                    source="server", reason=reason,
                )  # fmt: skip
                if await self._issues.insert([issue]):
                    log.warning("Device {} floods the server with reports", device_id)
                    self._push(device_id)
            self._fresh.discard(device_id)

    async def _close(self, now: datetime) -> None:
        standing = await self._issues.find_open(name=ISSUE)
        quiet = []
        for issue in standing:
            # What happened before the server's start is not known: the hour begins anew.
            last = self._breaches.setdefault(issue.device_id, now)
            if issue.source == "server" and now - last >= QUIET_PERIOD:
                quiet.append(issue.closed(now=now, reason="the device behaved for an hour"))
        for issue in await self._issues.close(quiet):
            self._push(issue.device_id)
        ended = [one for one, last in self._breaches.items() if now - last >= QUIET_PERIOD]
        for device_id in ended:
            del self._breaches[device_id]
