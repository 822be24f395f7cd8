"""Judge a batch of devices: run the checks, and bring their issues in line."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from penguind.domain.device import STATES
from penguind.domain.issue import Issue, closing_reason, may_open, opened_issue, reworded
from penguind.domain.verdict import Judged, Verdict
from penguind.own_issues import is_subject

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence
    from datetime import datetime

    from penguind.check_loader import CheckLoader, CheckSet
    from penguind.domain.calendar import Calendars
    from penguind.domain.check import Check
    from penguind.store.check_queries import CheckQueries
    from penguind.store.devices import DeviceStore
    from penguind.store.issues import IssueStore


@dataclass(slots=True)
class AuditOutcome:
    """What an audit did.

    `devices` counts those that were judged. `reworded` are open issues that took over the words of
    a check that was edited. `withheld` are devices of which an issue will open with newer data,
    because an operator closed it after the present ones came.
    """

    devices: int = 0
    opened: list[Issue] = field(default_factory=list)
    closed: list[Issue] = field(default_factory=list)
    reworded: list[Issue] = field(default_factory=list)
    withheld: set[str] = field(default_factory=set)

    def add(self, other: AuditOutcome) -> None:
        """Take in the outcome of another batch."""
        self.devices += other.devices
        self.opened += other.opened
        self.closed += other.closed
        self.reworded += other.reworded
        self.withheld |= other.withheld


class Judge:
    """Judges one batch at a time, so that none acts upon what another is changing."""

    def __init__(
        self,
        *,
        checks: CheckLoader,
        queries: CheckQueries,
        devices: DeviceStore,
        issues: IssueStore,
    ) -> None:
        self._checks = checks
        self._queries = queries
        self._devices = devices
        self._issues = issues
        self._lock = asyncio.Lock()

    async def everybody(self) -> list[str]:
        """Return ids of active devices, and of others that still have open issues."""
        active = [one.device_id for one in await self._devices.find(states=["active"])]
        return list(dict.fromkeys([*active, *sorted(await self._issues.devices_with_open())]))

    async def unseen(self) -> list[str]:
        """Return ids of devices with open issues that may end without an output's change.

        Those are devices that fail a check of time or presence, and ones that were revoked.
        """
        names = [one.name for one in self._checks.current.rules() if one.changes_unseen()]
        troubled = await self._issues.devices_with_open()
        ended = await self._devices.find(states=["pending", "revoked"], device_ids=troubled)
        timed = await self._issues.devices_with_open(names)
        return sorted(timed.union(one.device_id for one in ended))

    async def judge(
        self, device_ids: Sequence[str], now: datetime, *, unseen_only: bool = False
    ) -> AuditOutcome:
        """Judge some devices.

        Args:
            device_ids: Some hundreds at most.
            now: The time of the audit.
            unseen_only: Run only the checks whose verdicts may change without an output's change.

        Raises:
            Unavailable: The database is away.
        """
        # The database keeps milliseconds.
        now = now.replace(microsecond=now.microsecond // 1000 * 1000)
        async with self._lock:
            checks = self._checks.current
            rules = [one for one in checks.rules() if one.changes_unseen() or not unseen_only]
            judged = await self._queries.judge(rules, device_ids, now)
            standing = await self._issues.find_open(device_ids)
            wanted, withheld = await self._wanted(checks, judged, standing)
            opened = await self._issues.insert(
                await self._made(wanted, judged, now, checks.calendars)
            )
            closed = await self._issues.close(await self._to_close(checks, judged, standing, now))
            ended = {one.issue_id for one in closed}
            changed = [
                new
                for one in standing
                if one.issue_id not in ended
                and (new := reworded(one, checks.get(one.name), checks.calendars)) is not None
            ]
            await self._issues.reword(changed)
        return AuditOutcome(len(judged), opened, closed, changed, withheld)

    async def _wanted(
        self, checks: CheckSet, judged: Sequence[Judged], standing: Iterable[Issue]
    ) -> tuple[dict[str, list[Check]], set[str]]:
        """Return by device which checks' issues to open, and devices that an operator's word keeps.

        The latter are those of which an operator closed an issue after the present data came.
        """
        known = {(one.device_id, one.name) for one in standing}
        failing = [
            (one, name)
            for one in judged
            for name, verdict in one.verdicts.items()
            if verdict is Verdict.FAIL and (one.device_id, name) not in known
        ]
        wanted: dict[str, list[Check]] = {}
        withheld: set[str] = set()
        if not failing:
            return wanted, withheld
        ended = await self._issues.manually_closed({one.device_id for one, _ in failing})
        for one, name in failing:
            if may_open(one, ended.get((one.device_id, name))):
                wanted.setdefault(one.device_id, []).append(checks.checks[name])
            else:
                withheld.add(one.device_id)
        return wanted, withheld

    async def _made(
        self,
        wanted: Mapping[str, Sequence[Check]],
        judged: Sequence[Judged],
        now: datetime,
        calendars: Calendars,
    ) -> list[Issue]:
        """Return new issues with the values that their checks looked at."""
        if not wanted:
            return []
        evidence = await self._queries.evidence(wanted)
        return [
            opened_issue(
                check,
                one,
                now=now,
                evidence=evidence.get((one.device_id, check.name), {}),
                calendars=calendars,
            )
            for one in judged
            for check in wanted.get(one.device_id, ())
        ]

    async def _to_close(
        self, checks: CheckSet, judged: Sequence[Judged], standing: Iterable[Issue], now: datetime
    ) -> list[Issue]:
        by_id = {one.device_id: one for one in judged}
        away = {one.device_id for one in standing} - set(by_id)
        absences = await self._absences(away) if away else {}
        closed = []
        for issue in standing:
            one = by_id.get(issue.device_id)
            if is_subject(issue.device_id):
                continue
            if one is None:
                reason = absences.get(issue.device_id)
            else:
                reason = closing_reason(issue, one, checks.checks)
            if reason:
                closed.append(issue.closed(now=now, reason=reason))
        return closed

    async def _absences(self, device_ids: Iterable[str]) -> Mapping[str, str]:
        """Return why devices are not judged, by id."""
        ids = set(device_ids)
        found = await self._devices.find(states=STATES, device_ids=ids)
        reasons = dict.fromkeys(ids, "the device was deleted")
        for device in found:
            reasons[device.device_id] = _ABSENCES[device.state]
        return reasons


# A device that is active but has no state yet keeps its issues.
_ABSENCES = {
    "pending": "the device waits for approval",
    "revoked": "the device was revoked",
    # What is wrong with it stands until it is let in again, or revoked.
    "blocked": "",
    "active": "",
}
