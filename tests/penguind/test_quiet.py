"""Why nobody is told: graces, snoozes, suspensions, filters, and what was told just now."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from penguind.domain.calendar import usual_calendars
from penguind.domain.check import Check, parse_check
from penguind.domain.due import Ignore, quiet
from penguind.domain.issue import opened_issue
from penguind.domain.verdict import Judged
from penguind.snoozing import Snoozing
from penguind.store.overview import Overview
from penguind.suspension import Suspensions
from penguindome.errors import InvalidInput, NotFound
from tests.harness.judging import judging

FRIDAY = datetime(2026, 3, 6, 16, 0, tzinfo=UTC)
HOUR = timedelta(hours=1)
CHECK = Check(name="a", grace_period=2 * HOUR, alert_period=8 * HOUR, calendar="working-hours")
ISSUE = opened_issue(
    CHECK, Judged("d-1", "one", None), now=FRIDAY, evidence={}, calendars=usual_calendars()
)
SOURCE = "name: x\nsummary: s\nseverity: low\nremedy: r\nfails: {plugins.a: 1}\n"
OFF = {"firewall": {"status": "off"}}


def why(issue, now, *, ignore=Ignore(), **facts):  # noqa: B008 -- frozen
    known = {"suspended": False, "filtered": False, **facts}
    return quiet(issue, CHECK, now=now, calendars=usual_calendars(), ignore=ignore, **known)


def test_grace_over_a_weekend_ends_on_monday():
    monday = FRIDAY.replace(day=9, hour=10)
    assert ISSUE.grace_until_time == monday
    assert why(ISSUE, monday - timedelta(minutes=1)) == "grace"
    assert why(ISSUE, monday) == ""


def test_alert_period_counts_working_time():
    told = replace(ISSUE, alerted_time=FRIDAY.replace(day=9, hour=10))
    assert why(told, FRIDAY.replace(day=10, hour=9, minute=50)) == "recent"
    assert why(told, FRIDAY.replace(day=10, hour=10)) == ""
    assert why(told, FRIDAY.replace(day=9, hour=11), ignore=Ignore(recent=True)) == ""


def test_the_first_reason_counts_and_each_can_be_ignored():
    now = FRIDAY + timedelta(minutes=30)
    issue = ISSUE.snoozed(now + HOUR, now=now, operator="ann", reason="")
    issue = replace(issue, alerted_time=now)
    found, ignored = [], {}
    for name in ("grace", "snoozed", "suspended", "filters", "recent"):
        found.append(why(issue, now, suspended=True, filtered=True, ignore=Ignore(**ignored)))
        ignored[name] = True
    assert found == ["grace", "snoozed", "suspended", "filtered", "recent"]
    assert why(issue, now, suspended=True, filtered=True, ignore=Ignore(**ignored)) == ""


def test_checks_name_calendars_and_count_hours_in_them():
    check = parse_check(SOURCE + "calendar: working-hours\ngrace: 4h\nalert_period: 90m\n")
    assert (check.calendar, check.grace_period) == ("working-hours", 4 * HOUR)
    for line, words in (
        ("calendar: nowhere\n", "there is no calendar 'nowhere'"),
        ("calendar: 3\n", "there is no calendar '3'"),
        ("calendar: working-hours\ngrace: 2d\n", "grace counts working time, which has no days"),
        ("calendar: working-hours\nalert_period: 1w\n", "alert_period counts working time"),
    ):
        with pytest.raises(InvalidInput, match=words) as caught:
            parse_check(SOURCE + line)
        assert caught.value.remedy


def test_snooze_is_shortened_and_ended_and_a_new_issue_has_none(mongo_uri):
    async def run() -> None:
        async with judging(mongo_uri) as bench:
            await bench.add("d-one", OFF)
            await bench.audit()
            snoozing = Snoozing(bench.issues, bench.pushed.append)
            (issue,) = await bench.issues.find_open()
            ids, words = [issue.issue_id], {"operator": "ann", "reason": "later"}
            now = bench.now
            for hours in (5, 9, 2):
                (done,) = await snoozing.snooze(ids, now + hours * HOUR, now=now, **words)
                assert done.snoozed_until_time == now + hours * HOUR
                assert (done.snoozed_by, done.snooze_reason) == ("ann", "later")
            with pytest.raises(InvalidInput, match="past"):
                await snoozing.snooze(ids, now, now=now, **words)
            with pytest.raises(NotFound):
                await snoozing.snooze([*ids, "x"], now + HOUR, now=now, **words)
            assert not await snoozing.unsnooze(ids, now=now + 3 * HOUR, **words)
            (ended,) = await snoozing.unsnooze(ids, now=now, **words)
            assert not ended.in_snooze(now)
            assert not await snoozing.unsnooze(ids, now=now, **words)
            kept = await bench.issues.get(issue.issue_id)
            events = [one.event for one in kept.timeline]
            assert events == ["opened", "snoozed", "snoozed", "snoozed", "unsnoozed"]
            await snoozing.snooze(ids, now + 99 * HOUR, now=now, **words)
            await bench.desk.close(ids, now=now, **words)
            assert not await snoozing.snooze(ids, now + HOUR, now=now, **words)
            bench.passes(minutes=1)
            await bench.report("d-one", OFF)
            await bench.audit()
            (again,) = await bench.issues.find_open()
            assert again.snoozed_until_time is None

    asyncio.run(run())


def test_told_is_in_the_timeline_of_open_issues(mongo_uri):
    async def run() -> None:
        async with judging(mongo_uri) as bench:
            await bench.add("d-one", OFF)
            await bench.audit()
            (issue,) = await bench.issues.find_open()
            await bench.issues.mark_alerted([issue.issue_id], bench.now, "by mail")
            kept = await bench.issues.get(issue.issue_id)
            assert kept.alerted_time == bench.now
            assert (kept.timeline[-1].event, kept.timeline[-1].reason) == ("alerted", "by mail")

    asyncio.run(run())


def test_the_next_report_ends_a_suspension(mongo_uri):
    async def run() -> None:
        async with judging(mongo_uri) as bench:
            await bench.add("d-one", OFF)
            await bench.add("d-two", OFF)
            ids = ["d-one", "d-two"]
            await bench.database.db["states"].update_many({}, {"$set": {"report.report_id": "r"}})
            suspensions = Suspensions(bench.devices, Overview(bench.database), bench.clock)
            assert not await suspensions.suspended()
            bench.passes(minutes=1)
            assert await suspensions.suspend(["d-one"], "ann", "holiday") == ["d-one"]
            assert sorted(await suspensions.suspend(ids, "bob", "")) == ["d-two"]
            assert await suspensions.suspended() == set(ids)
            assert (await bench.devices.get("d-one")).suspended_by == "ann"
            assert await suspensions.unsuspend(ids[1:]) == ["d-two"]
            assert not await suspensions.unsuspend(ids[1:])
            bench.passes(minutes=1)
            change = {"$set": {"report.received_time": bench.now}}
            await bench.database.db["states"].update_one({"_id": "d-one"}, change)
            assert not await suspensions.suspended()
            assert not await suspensions.unsuspend(ids)
            assert await suspensions.suspend(["d-one"], "bob", "") == ["d-one"]
            with pytest.raises(NotFound):
                await suspensions.suspend(["d-one", "d-none"], "bob", "")

    asyncio.run(run())
