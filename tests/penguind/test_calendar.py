"""Working time, against counting minutes on the wall."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from penguind.config import load_settings
from penguind.domain.calendar import Calendar, after, is_working, office_hours, working_time
from penguindome.errors import InvalidInput

MINUTE = timedelta(minutes=1)
EASTERN = office_hours(ZoneInfo("US/Eastern"))
ZONES = ("UTC", "US/Eastern", "Europe/Berlin", "Asia/Kathmandu", "Australia/Lord_Howe")
# Around changes of the clock in each half of the year, and around New Year.
STARTS = (datetime(2026, 3, 6, tzinfo=UTC), datetime(2026, 3, 27, tzinfo=UTC),
          datetime(2026, 4, 3, tzinfo=UTC), datetime(2026, 10, 2, tzinfo=UTC),
          datetime(2026, 10, 23, tzinfo=UTC), datetime(2026, 10, 30, tzinfo=UTC),
          datetime(2026, 12, 30, tzinfo=UTC))  # fmt: skip


def at(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


@pytest.mark.parametrize(
    ("start", "end", "hours"),
    [
        ("2017-07-23 11:00", "2017-07-23 12:00", 0),
        ("2017-07-23 11:00", "2017-07-24 14:00", 1),
        ("2017-07-21 20:00", "2017-07-24 14:00", 2),
        ("2017-07-21 16:00", "2017-07-21 18:30", 2.5),
        ("2017-07-19 18:15", "2017-07-21 14:20", 12 + 5 / 60),
        ("2017-07-20 16:00", "2017-07-25 18:00", 26),
        ("2017-07-23 11:00:42", "2017-07-24 14:00", 1),
    ],
)
def test_business_hours(start, end, hours):
    worked = timedelta(hours=hours)
    assert working_time(EASTERN, at(start), at(end)) == worked
    assert after(EASTERN, at(start), worked) <= at(end)


def test_without_a_calendar_all_time_counts():
    start = at("2026-03-07 12:00")
    assert working_time(None, start, start + timedelta(hours=5)) == timedelta(hours=5)
    assert working_time(None, start, start - MINUTE) == timedelta(0)
    assert after(None, start, timedelta(hours=5)) == start + timedelta(hours=5)
    assert is_working(None, start)


def test_holidays_are_free():
    free = Calendar("x", UTC, EASTERN.hours, frozenset({date(2026, 3, 3)}), frozenset({(3, 4)}))
    assert after(free, at("2026-03-02 16:00"), timedelta(hours=2)) == at("2026-03-05 10:00")
    assert not is_working(free, at("2026-03-03 12:00"))
    assert not is_working(free, at("2027-03-04 12:00"))
    assert is_working(free, at("2027-03-03 12:00"))


@st.composite
def calendars(draw) -> Calendar:
    week = []
    for _ in range(7):
        marks = sorted(draw(st.sets(st.integers(0, 1440), max_size=4)))
        spans = zip(marks[::2], marks[1::2], strict=False)
        week.append(tuple((MINUTE * start, MINUTE * end) for start, end in spans))
    days = draw(st.sets(st.sampled_from([date(2026, 3, 8), date(2026, 10, 25), date(2026, 4, 5)])))
    zone = ZoneInfo(draw(st.sampled_from(ZONES)))
    return Calendar("x", zone, tuple(week), frozenset(days), frozenset({(1, 1)}))


def on_the_wall(calendar: Calendar, moment: datetime) -> bool:
    local = moment.astimezone(calendar.zone)
    if local.date() in calendar.holidays or (local.month, local.day) in calendar.yearly_holidays:
        return False
    clock = timedelta(hours=local.hour, minutes=local.minute)
    return any(start <= clock < end for start, end in calendar.hours[local.weekday()])


@settings(max_examples=40, deadline=None)
@given(calendars(), st.sampled_from(STARTS), st.integers(0, 1440), st.integers(1, 4000))
def test_working_time_is_what_the_clock_on_the_wall_counts(calendar, day, offset, length):
    start = day + MINUTE * offset
    minutes = [start + MINUTE * number for number in range(length)]
    counted = [one for one in minutes if on_the_wall(calendar, one)]
    worked = working_time(calendar, start, start + MINUTE * length)
    assert worked == MINUTE * len(counted)
    assert is_working(calendar, minutes[-1]) == on_the_wall(calendar, minutes[-1])
    if counted:
        assert after(calendar, start, worked) == counted[-1] + MINUTE


def written(tmp_path, text: str):
    path = tmp_path / "penguind.toml"
    path.write_text(text)
    return load_settings(path).calendars


def test_settings_define_calendars(tmp_path):
    found = written(
        tmp_path,
        '[calendars.shift]\ntime_zone = "Europe/Berlin"\nworking_days = ["monday", "friday"]\n'
        'working_hours = ["13:00-24:00", "09:00-12:00"]\nsunday = ["08:00-09:00"]\n'
        'holidays = ["2026-04-03", "12-25"]\n',
    )
    assert sorted(found) == ["shift", "working-hours"]
    shift = found["shift"]
    assert [len(day) for day in shift.hours] == [2, 0, 0, 0, 2, 0, 1]
    assert shift.hours[0][1] == (timedelta(hours=13), timedelta(hours=24))
    assert (shift.holidays, shift.yearly_holidays) == ({date(2026, 4, 3)}, {(12, 25)})


@pytest.mark.parametrize(
    ("line", "named"),
    [
        ('time_zone = "Mars/Base"', "calendars.x.time_zone"),
        ('time_zone = "../etc/passwd"', "calendars.x.time_zone"),
        ('working_days = ["mon"]', "calendars.x.working_days"),
        ("working_days = []", "calendars.x.working_hours"),
        ('working_hours = ["9-17"]', "calendars.x.working_hours"),
        ('working_hours = ["17:00-09:00"]', "calendars.x.working_hours"),
        ('friday = ["09:00-12:00", "11:00-13:00"]', "calendars.x.friday"),
        ('holidays = ["2026-02-30"]', "calendars.x.holidays"),
        ('holidays = ["02-30"]', "calendars.x.holidays"),
        ('timezone = "UTC"', "calendars.x.timezone"),
    ],
)
def test_bad_calendar_is_named_with_a_remedy(tmp_path, line, named):
    with pytest.raises(InvalidInput) as caught:
        written(tmp_path, f"[calendars.x]\n{line}\n")
    assert named in caught.value.reason
    assert caught.value.remedy
