"""Which issues people are to be told about now, and why they are not told about the others.

The reasons, the first that holds:

1. grace: it is too early; the problem may end by itself.
2. snoozed: an operator does not want to hear of it for some time.
3. suspended: an operator does not want to hear of the device until it reports again.
4. filtered: a rule holds it back, such as that the user works on another device.
5. recent: people were told less than the check's alert period ago.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Literal

from penguind.domain.calendar import working_time
from penguind.domain.check import DEFAULT_ALERT_PERIOD, Check

if TYPE_CHECKING:
    from penguind.domain.calendar import Calendars
    from penguind.domain.issue import Issue

Quiet = Literal["", "grace", "snoozed", "suspended", "filtered", "recent"]

# Who asks once an hour comes a little early now and then.
_SLACK = timedelta(minutes=1)


@dataclass(frozen=True, slots=True)
class Ignore:
    """Reasons for quiet that shall not count."""

    grace: bool = False
    recent: bool = False
    snoozed: bool = False
    suspended: bool = False
    filters: bool = False


def quiet(
    issue: Issue,
    check: Check | None,
    *,
    now: datetime,
    suspended: bool,
    filtered: bool,
    calendars: Calendars,
    ignore: Ignore = Ignore(),
) -> Quiet:
    """Return why nobody is told of an open issue now; empty where people are.

    Args:
        issue: The issue.
        check: Its check; None for an issue under a free name.
        now: The time.
        suspended: Whether its device is suspended.
        filtered: Whether a rule holds it back.
        calendars: By name.
        ignore: Reasons that shall not count.
    """
    if issue.in_grace(now) and not ignore.grace:
        return "grace"
    if issue.in_snooze(now) and not ignore.snoozed:
        return "snoozed"
    if suspended and not ignore.suspended:
        return "suspended"
    if filtered and not ignore.filters:
        return "filtered"
    if not ignore.recent and _recent(issue, check, now, calendars):
        return "recent"
    return ""


def _recent(issue: Issue, check: Check | None, now: datetime, calendars: Calendars) -> bool:
    if issue.alerted_time is None:
        return False
    period = DEFAULT_ALERT_PERIOD if check is None else check.alert_period
    calendar = None if check is None else calendars.get(check.calendar)
    return working_time(calendar, issue.alerted_time, now) < period - _SLACK
