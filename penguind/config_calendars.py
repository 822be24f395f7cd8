"""The settings of calendars: in which zone, at which hours and on which days people work."""

from __future__ import annotations

import re
from datetime import UTC, date, timedelta, tzinfo
from itertools import pairwise
from typing import TYPE_CHECKING
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from penguind.domain.calendar import DAY, Calendar, usual_calendars

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from penguind.domain.calendar import Span
    from penguindome.settings import Section

_NAME = re.compile(r"[a-z0-9](?:[a-z0-9-]{0,30}[a-z0-9])?")
_SPAN = re.compile(r"([0-9]{2}):([0-5][0-9])-([0-9]{2}):([0-5][0-9])")
_YEARLY = re.compile(r"([0-9]{2})-([0-9]{2})")
_WEEKDAYS = ("monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday")
_USUAL_DAYS = _WEEKDAYS[:5]
_USUAL_HOURS = ("09:00-17:00",)
_LEAP_YEAR = 2000
_FEWEST_HOURS = timedelta(hours=1)
# So many that a year could be without work would make waiting for it endless.
_MAX_HOLIDAYS = 250


def read_calendars(section: Section, names: Iterable[str]) -> dict[str, Calendar]:
    """Read `[calendars.NAME]` of these names; `working-hours` is there in any case.

    Raises:
        InvalidInput: for an unknown key or a value that cannot be, named.
    """
    return {**usual_calendars(), **{name: _calendar(section, name) for name in names}}


def _calendar(calendars: Section, name: str) -> Calendar:
    if not _NAME.fullmatch(name):
        raise calendars.error(
            name, "is no name for a calendar", "Use at most 32 lower-case letters, digits, hyphens"
        )
    section = calendars.section(name)
    days, yearly = _holidays(section)
    return Calendar(name, _zone(section), _hours(section), days, yearly)


def _zone(section: Section) -> tzinfo:
    name = section.text("time_zone", default="UTC")
    if name == "UTC":
        return UTC
    try:
        return ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, OSError):
        raise section.error(
            "time_zone", f"is {name[:60]!r}, which is no time zone", "Write e.g. Europe/Berlin"
        ) from None


def _hours(section: Section) -> tuple[tuple[Span, ...], ...]:
    working_days = section.texts("working_days", _USUAL_DAYS)
    for day in working_days:
        if day not in _WEEKDAYS:
            raise section.error(
                "working_days", f"holds {day[:40]!r}", f"Possible are {', '.join(_WEEKDAYS)}"
            )
    usual = section.texts("working_hours", _USUAL_HOURS)
    _spans(section, "working_hours", usual)
    hours = tuple(_spans(section, day, usual if day in working_days else ()) for day in _WEEKDAYS)
    if sum((end - start for day in hours for start, end in day), timedelta()) < _FEWEST_HOURS:
        raise section.error("working_hours", "are less than an hour a week", "Give more")
    return hours


def _spans(section: Section, name: str, default: Sequence[str]) -> tuple[Span, ...]:
    spans = sorted(_span(section, name, text) for text in section.texts(name, default))
    for (_, end), (start, _) in pairwise(spans):
        if start < end:
            raise section.error(name, "holds spans that overlap", "Give each hour once")
    return tuple(spans)


def _span(section: Section, name: str, text: str) -> Span:
    found = _SPAN.fullmatch(text)
    start, end = timedelta(), timedelta()
    if found:
        start = timedelta(hours=int(found[1]), minutes=int(found[2]))
        end = timedelta(hours=int(found[3]), minutes=int(found[4]))
    if not start < end <= DAY:
        raise section.error(
            name,
            f"holds {text[:40]!r}, which are no hours of a day",
            "Write e.g. 09:00-17:00; a night is 22:00-24:00 and 00:00-06:00 of the next day",
        )
    return start, end


def _holidays(section: Section) -> tuple[frozenset[date], frozenset[tuple[int, int]]]:
    days, yearly = set(), set()
    texts = section.texts("holidays")
    for text in texts:
        try:
            found = _YEARLY.fullmatch(text)
            if found:
                day = date(_LEAP_YEAR, int(found[1]), int(found[2]))
                yearly.add((day.month, day.day))
            else:
                days.add(date.fromisoformat(text))
        except ValueError:
            raise section.error(
                "holidays",
                f"holds {text[:40]!r}, which is no day",
                "Write e.g. 2026-04-03, or 12-25 for every year",
            ) from None
    if len(yearly) > _MAX_HOLIDAYS:
        raise section.error("holidays", f"holds more than {_MAX_HOLIDAYS} of every year")
    return frozenset(days), frozenset(yearly)
