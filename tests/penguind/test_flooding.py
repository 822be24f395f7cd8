"""A device that does not heed its quota gets an issue, and loses it by behaving."""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager

import pytest

from penguind.flooding import ISSUE, REFUSALS, FloodWatch
from penguind.own_issues import OwnIssues
from penguind.rates import RateLimits, ReportRates
from penguindome.errors import LimitExceeded
from tests.harness.judging import judging

DEVICE = "d-flood"
OTHER = "d-other"


class Bench:
    """A flood watch over a database, and a clock that is moved by hand."""

    def __init__(self, judges):
        self.judges = judges
        self.restart()

    def restart(self):
        self.watch = FloodWatch(
            rates=ReportRates(RateLimits(reports_per_minute=1, report_burst=1)),
            issues=OwnIssues(self.judges.issues, self.judges.checks, self.judges.pushed.append),
            devices=self.judges.devices,
            clock=self.judges.clock,
            look_seconds=0.02,
        )

    def flood(self, device_id, number):
        """Hand in more than is allowed; returns how many reports were refused."""
        refused = 0
        for _ in range(number):
            try:
                self.watch.take(device_id, 10, self.judges.now)
            except LimitExceeded:
                refused += 1
        return refused

    async def open_issues(self):
        """Let the watch work for a moment; return the devices that it found."""
        task = asyncio.create_task(self.watch.run())
        await asyncio.sleep(0.3)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        return sorted(one.device_id for one in await self.judges.issues.find_open(name=ISSUE))


@pytest.fixture
def run(mongo_uri):
    @asynccontextmanager
    async def bench():
        async with judging(mongo_uri) as judges, asyncio.timeout(30):
            await judges.add(DEVICE)
            await judges.add(OTHER)
            yield Bench(judges)

    def run_story(story):
        async def main():
            async with bench() as made:
                await story(made)

        asyncio.run(main())

    return run_story


def test_refusals_in_a_row_open_an_issue_about_that_device_alone(run):
    async def story(bench):
        assert bench.flood(OTHER, REFUSALS) == REFUSALS - 1
        assert bench.flood(DEVICE, REFUSALS + 1) == REFUSALS
        assert await bench.open_issues() == [DEVICE]
        assert bench.judges.pushed == [DEVICE]
        (issue,) = await bench.judges.issues.find_open(name=ISSUE)
        assert issue.hostname == "flood"
        assert issue.remedy

    run(story)


def test_behaving_for_an_hour_closes_it(run):
    async def story(bench):
        bench.flood(DEVICE, 50)
        assert await bench.open_issues() == [DEVICE]
        bench.judges.passes(minutes=50)
        bench.flood(DEVICE, 50)
        bench.judges.passes(minutes=50)
        assert await bench.open_issues() == [DEVICE]
        bench.judges.passes(minutes=11)
        assert await bench.open_issues() == []

    run(story)


def test_a_restart_of_the_server_begins_the_hour_anew(run):
    async def story(bench):
        bench.flood(DEVICE, 50)
        await bench.open_issues()
        bench.judges.passes(minutes=50)
        bench.restart()
        assert await bench.open_issues() == [DEVICE]
        bench.judges.passes(minutes=50)
        assert await bench.open_issues() == [DEVICE]
        bench.judges.passes(minutes=11)
        assert await bench.open_issues() == []

    run(story)


def test_what_an_operator_closed_comes_back_with_the_next_flood_only(run):
    async def story(bench):
        bench.flood(DEVICE, 50)
        await bench.open_issues()
        (issue,) = await bench.judges.issues.find_open(name=ISSUE)
        closed = issue.closed(now=bench.judges.now, reason="seen to", operator="ann")
        await bench.judges.issues.close([closed])
        bench.flood(DEVICE, 50)
        assert await bench.open_issues() == []
        bench.judges.passes(minutes=61)
        assert await bench.open_issues() == []
        bench.flood(DEVICE, 50)
        assert await bench.open_issues() == [DEVICE]

    run(story)


def test_a_revoked_device_keeps_no_issue(run):
    async def story(bench):
        bench.flood(DEVICE, 50)
        assert await bench.open_issues() == [DEVICE]
        await bench.judges.devices.revoke(DEVICE, "", bench.judges.now)
        await bench.judges.audit(DEVICE)
        assert await bench.open_issues() == []

    run(story)
