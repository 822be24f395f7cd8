"""An issue: one problem of one device, from opening to closing.

1. A check's failing opens an issue; passing, or no longer applying, closes it. Not knowing changes
   nothing.
2. An operator may open and close any issue. What an operator opened, checks do not close.
3. An issue that an operator closed stays closed until data arrive that were received after that.
4. Nobody is told before the grace is over; `grace_until_time` says when that is.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Literal

from penguind.domain.calendar import NO_CALENDARS, after
from penguind.domain.check import SEVERITIES, Check, Severity
from penguind.domain.verdict import Judged, Verdict
from penguindome.ids import new_ulid
from penguindome.times import to_iso

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import datetime

    from penguind.domain.calendar import Calendars
    from penguind.domain.evidence import Evidence

Source = Literal["check", "server", "operator"]
Event = Literal["opened", "closed", "alerted", "snoozed", "unsnoozed"]
SERVER = "server"
#: What begins the id of a subject that is no device, but a part of the server.
SUBJECT = "server:"
MAX_TIMELINE = 1000


@dataclass(frozen=True, slots=True)
class TimelineEvent:
    """One thing that happened to an issue; `actor` is an operator's name or "server"."""

    time: datetime
    event: Event
    actor: str
    reason: str = ""


@dataclass(frozen=True, slots=True)
class Issue:
    """One problem of one device.

    `source` says who opened it. `data_time` is when the data were received that it rests on.
    `closed_by` is set where an operator closed it, empty where the server did. `evidence` has the
    values that the check looked at, by path, as they were at the opening.
    """

    issue_id: str
    device_id: str
    hostname: str
    name: str
    severity: Severity
    summary: str
    remedy: str
    opened_time: datetime
    source: Source = "check"
    closed_time: datetime | None = None
    closed_by: str = ""
    grace_until_time: datetime | None = None
    data_time: datetime | None = None
    evidence: Evidence = field(default_factory=dict)
    timeline: tuple[TimelineEvent, ...] = ()
    alerted_time: datetime | None = None
    snoozed_until_time: datetime | None = None
    snoozed_by: str = ""
    snooze_reason: str = ""

    @property
    def open(self) -> bool:
        """Tell whether the problem still stands."""
        return self.closed_time is None

    def in_grace(self, now: datetime) -> bool:
        """Tell whether it is too early to tell people."""
        return self.grace_until_time is not None and now < self.grace_until_time

    def in_snooze(self, now: datetime) -> bool:
        """Tell whether an operator wants nobody to be told."""
        return self.snoozed_until_time is not None and now < self.snoozed_until_time

    def snoozed(self, until: datetime, *, now: datetime, operator: str, reason: str) -> Issue:
        """Return the issue about which nobody is told until a time."""
        told = f"until {to_iso(until)}" + (f": {reason}" if reason else "")
        return replace(
            self._with(TimelineEvent(now, "snoozed", operator, told)),
            snoozed_until_time=until,
            snoozed_by=operator,
            snooze_reason=reason,
        )

    def unsnoozed(self, *, now: datetime, operator: str, reason: str) -> Issue:
        """Return the issue about which people are told again."""
        return replace(
            self._with(TimelineEvent(now, "unsnoozed", operator, reason)),
            snoozed_until_time=None,
            snoozed_by="",
            snooze_reason="",
        )

    def summarised(self) -> Issue:
        """Return the issue without evidence and timeline, for lists."""
        return replace(self, evidence={}, timeline=())

    def closed(self, *, now: datetime, reason: str, operator: str = "") -> Issue:
        """Return the issue closed, by an operator or else by the server."""
        event = TimelineEvent(now, "closed", operator or SERVER, reason)
        return replace(
            self._with(event),
            closed_time=now,
            closed_by=operator,
        )

    def _with(self, event: TimelineEvent) -> Issue:
        return replace(self, timeline=(*self.timeline, event)[-MAX_TIMELINE:])


def opened_issue(
    check: Check,
    judged: Judged,
    *,
    now: datetime,
    evidence: Evidence,
    source: Source = "check",
    operator: str = "",
    reason: str = "",
    calendars: Calendars = NO_CALENDARS,
) -> Issue:
    """Return a new open issue with the check's words, severity and grace."""
    return Issue(
        issue_id=new_ulid(now),
        device_id=judged.device_id,
        hostname=judged.hostname,
        name=check.name,
        severity=check.severity,
        summary=check.summary,
        remedy=check.remedy,
        opened_time=now,
        source=source,
        grace_until_time=grace_until(check, now, calendars),
        data_time=judged.data_time,
        evidence=evidence,
        timeline=(TimelineEvent(now, "opened", operator or SERVER, reason),),
    )


def may_open(judged: Judged, manually_closed_time: datetime | None) -> bool:
    """Tell whether a failing check may open an issue again after an operator closed one."""
    if manually_closed_time is None:
        return True
    return judged.data_time is not None and judged.data_time > manually_closed_time


def closing_reason(issue: Issue, judged: Judged, checks: Mapping[str, Check]) -> str | None:
    """Return why an open issue is over, None if it stands."""
    if issue.source != "check":
        return None
    if issue.name not in checks:
        return "the check was removed or disabled"
    verdict = judged.verdicts.get(issue.name)
    if verdict is Verdict.PASS:
        return "the check passes"
    if verdict is Verdict.NOT_APPLICABLE:
        return "the check no longer applies"
    return None


def grace_until(check: Check, opened_time: datetime, calendars: Calendars) -> datetime | None:
    """Return until when nobody is told of an issue that was opened then; None without a grace."""
    if not check.grace_period:
        return None
    return after(calendars.get(check.calendar), opened_time, check.grace_period)


def reworded(
    issue: Issue, check: Check | None, calendars: Calendars = NO_CALENDARS
) -> Issue | None:
    """Return an open issue with its check's present words; None if it has them already."""
    if issue.source != "check" or check is None:
        return None
    changed = replace(
        issue,
        severity=check.severity,
        summary=check.summary,
        remedy=check.remedy,
        grace_until_time=grace_until(check, issue.opened_time, calendars),
    )
    return None if changed == issue else changed


def worst_first(issue: Issue) -> tuple[int, str, str, str]:
    """Return a key that sorts by severity, the worst first, then by hostname and name."""
    return (-SEVERITIES.index(issue.severity), issue.hostname, issue.name, issue.issue_id)
