"""A silent device is held back while its user reports from another one, for a month at most."""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager
from datetime import timedelta

import pytest

from penguind.domain.check import parse_check
from penguind.domain.parameter import EMAIL, LINKS
from penguind.due import DueIssues
from penguind.links import Links, cutoff
from penguind.parameters import Parameters
from penguind.store.overview import Overview
from penguind.store.parameters import ParameterStore
from penguind.suspension import Suspensions
from tests.harness.judging import judging

OFF = {"firewall": {"status": "off"}}
SITE = """\
name: not-reporting
summary: s
severity: low
remedy: r
fails: {$and: [{report.received_time: {$lt: {$ago: 3d}}}, {device.labels: x}]}
"""


class Bench:
    """Two laptops of one person, and a clock that is moved by hand."""

    def __init__(self, judges):
        self.judges = judges
        self.store = ParameterStore(judges.database)
        self.overview = Overview(judges.database)
        self.parameters = Parameters(
            database=judges.database,
            parameters=self.store,
            devices=judges.devices,
            selector=judges.selector,
            clock=judges.clock,
        )
        links = Links(
            parameters=self.store,
            devices=judges.devices,
            overview=self.overview,
            check=lambda: judges.checks.current.get("not-reporting"),
        )
        self.due = DueIssues(
            issues=judges.issues,
            checks=judges.checks,
            suspensions=Suspensions(judges.devices, self.overview, judges.clock),
            filtered=links.filtered,
        )

    async def reports(self, device, outputs=OFF):
        await self.judges.report(device, outputs)
        await self.judges.database.db["states"].update_one(
            {"_id": device}, {"$set": {"report.report_id": "r1"}}
        )

    async def days(self, number, *reporting):
        """Let days pass, at whose end some devices report."""
        self.judges.passes(days=number)
        for device in reporting:
            await self.reports(device)
        await self.judges.audit()
        # The grace of the check is four hours.
        self.judges.passes(hours=5)

    async def told(self, name="not-reporting"):
        """Return who is told about, and who is held back."""
        found = await self.due.standing(None, self.judges.now)
        named = [one for one in found if one.issue.name == name]
        return {one.issue.device_id: one.quiet for one in named}


@pytest.fixture
def run(mongo_uri):
    @asynccontextmanager
    async def bench():
        async with judging(mongo_uri) as judges, asyncio.timeout(30):
            made = Bench(judges)
            await made.store.prepare()
            for device in ("d-old", "d-new", "d-other"):
                await judges.add(device)
                await made.reports(device)
            await made.parameters.set("d-old", LINKS, ["d-new"], "ann")
            yield made

    def run_story(story):
        async def main():
            async with bench() as made:
                await story(made)

        asyncio.run(main())

    return run_story


def test_ten_days_of_silence_are_held_back_and_thirty_two_are_told(run):
    async def story(bench):
        await bench.days(10, "d-new")
        assert await bench.told() == {"d-old": "filtered", "d-other": ""}
        await bench.days(22, "d-new")
        assert await bench.told() == {"d-old": "", "d-other": ""}

    run(story)


def test_nobody_holds_back_anybody_when_both_are_silent(run):
    async def story(bench):
        await bench.days(10)
        assert await bench.told() == {"d-old": "", "d-new": "", "d-other": ""}

    run(story)


def test_only_silence_is_held_back(run):
    async def story(bench):
        await bench.days(10, "d-new")
        assert (await bench.told("firewall-disabled"))["d-old"] == ""

    run(story)


def test_who_was_unlinked_revoked_or_deleted_holds_nothing_back(run):
    async def story(bench):
        await bench.days(10, "d-new")
        await bench.parameters.unset("d-new", LINKS, "ann")
        assert (await bench.told())["d-old"] == ""
        await bench.parameters.set("d-old", LINKS, ["d-new"], "ann")
        assert (await bench.told())["d-old"] == "filtered"
        await bench.judges.devices.revoke("d-new", "", bench.judges.now)
        assert (await bench.told())["d-old"] == ""
        await bench.parameters.leave("d-new")
        await bench.judges.devices.delete("d-new")
        assert (await bench.told())["d-old"] == ""
        assert len(await bench.parameters.find(["new"], [])) == 1

    run(story)


def test_a_mail_address_links_nobody(run):
    async def story(bench):
        for device in ("d-other", "d-new"):
            await bench.parameters.set(device, EMAIL, ["ann@example.com"], "ann")
        await bench.days(10, "d-new")
        assert (await bench.told())["d-other"] == ""

    run(story)


@pytest.mark.parametrize(
    ("text", "days"), [(SITE, 3), (SITE.replace("{$ago: 3d}", "'2026-01-01T00:00:00Z'"), 1)]
)
def test_the_time_that_a_linked_device_has_is_the_checks(text, days):
    check = parse_check(text.replace("'2026", "{$date: '2026").replace("Z'", "Z'}"))
    assert cutoff(check) == timedelta(days=days)
    assert cutoff(None) == timedelta(days=1)
