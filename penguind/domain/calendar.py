"""Working time: when people work, so that graces and alert periods can be counted in it.

1. A moment is working time if the clock on the wall of the calendar's zone shows a time within one
   of the weekday's spans, and the day is no holiday. Hours that a change of the clock skips are
   none, and hours that it repeats are counted twice.
2. Without a calendar, all time counts.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import UTC, date, datetime, time, timedelta, tzinfo
from functools import lru_cache
from types import MappingProxyType
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    Calendars = Mapping[str, "Calendar"]

#: The calendar that every server has.
WORKING_HOURS = "working-hours"
DAY = timedelta(days=1)
_MINUTE = timedelta(minutes=1)
# A change of the clock concerns the days around it, however far the zone is from UTC.
_MARGIN = timedelta(hours=26)
# Where people work an hour a week, an end that is farther away is as good as this.
_MAX_DAYS = 20_000

#: For what knows none: all time counts.
NO_CALENDARS: Calendars = MappingProxyType({})

Span = tuple[timedelta, timedelta]
Period = tuple[datetime, datetime]


@dataclass(frozen=True, slots=True)
class Calendar:
    """When people work.

    Attributes:
        name: what checks call it.
        zone: whose clock on the wall counts.
        hours: by weekday, Monday first: spans since midnight, in order, without overlap.
        holidays: days without work.
        yearly_holidays: month and day of those of every year.
    """

    name: str
    zone: tzinfo = field(hash=False)
    hours: tuple[tuple[Span, ...], ...] = field(hash=False)
    holidays: frozenset[date] = field(default=frozenset(), hash=False)
    yearly_holidays: frozenset[tuple[int, int]] = field(default=frozenset(), hash=False)

    def spans(self, day: date) -> tuple[Span, ...]:
        """Return when people work on a day, since its midnight."""
        free = day in self.holidays or (day.month, day.day) in self.yearly_holidays
        return () if free else self.hours[day.weekday()]


def office_hours(zone: tzinfo = UTC) -> Calendar:
    """Return the calendar that is there unless the settings say otherwise."""
    span = (timedelta(hours=9), timedelta(hours=17))
    return Calendar(WORKING_HOURS, zone, ((span,),) * 5 + ((),) * 2)


def usual_calendars() -> Calendars:
    """Return the calendars of a server whose settings name none."""
    return {WORKING_HOURS: office_hours()}


def working_time(calendar: Calendar | None, start: datetime, end: datetime) -> timedelta:
    """Return how much working time lies between two moments; none if they are in wrong order."""
    if calendar is None or end <= start:
        return max(end - start, timedelta(0))
    total = timedelta(0)
    for begun, ended in _periods(calendar, start):
        if begun >= end:
            break
        total += min(ended, end) - begun
    return total


def after(calendar: Calendar | None, start: datetime, duration: timedelta) -> datetime:
    """Return the first moment by which so much working time has passed since the start."""
    if calendar is None or not duration:
        return start + duration
    last = start
    for begun, ended in _periods(calendar, start):
        if ended - begun >= duration:
            return begun + duration
        duration -= ended - begun
        last = ended
    return last


def is_working(calendar: Calendar | None, now: datetime) -> bool:
    """Tell whether people work now."""
    return calendar is None or next(_periods(calendar, now), (now + DAY, now))[0] <= now


def _periods(calendar: Calendar, start: datetime) -> Iterator[Period]:
    """Yield when people work from a moment on, in UTC, as far as anybody looks."""
    # Where midnight comes twice, the day before goes on after the day has begun.
    first = start.astimezone(calendar.zone).date() - DAY
    for number in range(min(_MAX_DAYS, (date.max - first).days - 2)):
        for begun, ended in _periods_of(calendar, first + number * DAY):
            if ended > start:
                yield max(begun, start), ended


@lru_cache(maxsize=4096)
def _periods_of(calendar: Calendar, day: date) -> tuple[Period, ...]:
    """Return when people work on a day, in UTC."""
    spans = calendar.spans(day)
    if not spans:
        return ()
    midnight = datetime.combine(day, time(), UTC)
    early, late = midnight - _MARGIN, midnight + DAY + _MARGIN
    before, after_change = _offset(calendar.zone, early), _offset(calendar.zone, late)
    if before == after_change:
        return tuple((midnight + start - before, midnight + end - before) for start, end in spans)
    change = _change(calendar.zone, early, late)
    former = [(midnight + start - before, midnight + end - before) for start, end in spans]
    latter = [
        (midnight + start - after_change, midnight + end - after_change) for start, end in spans
    ]
    pieces = [(start, min(end, change)) for start, end in former]
    pieces += [(max(start, change), end) for start, end in latter]
    return tuple((start, end) for start, end in pieces if start < end)


def _change(zone: tzinfo, early: datetime, late: datetime) -> datetime:
    """Return when the clock changes between two moments."""
    former = _offset(zone, early)
    while late - early > _MINUTE:
        middle = early + (late - early) // _MINUTE // 2 * _MINUTE
        if _offset(zone, middle) == former:
            early = middle
        else:
            late = middle
    return late


def _offset(zone: tzinfo, moment: datetime) -> timedelta:
    return moment.astimezone(zone).utcoffset() or timedelta(0)
