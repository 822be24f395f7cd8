"""The server's own look: what it finds in the database, opens and closes."""

from __future__ import annotations

from datetime import timedelta
from types import SimpleNamespace

import pytest

from penguind.own_issues import OwnIssues
from penguind.store.watching import WatchQueries
from penguind.watch.expiry import Expiring
from penguind.watch.worker import Watch
from tests.harness.judging import story_runner

SETTINGS = SimpleNamespace(clock_tolerance=timedelta(minutes=2), minimum_version="1.3")


class Ends:
    """What ends on the server, as a test says."""

    def __init__(self):
        self.ending = []

    async def all(self):
        return self.ending


class Bench:
    """A watch over a database with devices."""

    def __init__(self, judges):
        self.judges = judges
        self.ends = Ends()
        self.watch = Watch(
            queries=WatchQueries(judges.database),
            issues=OwnIssues(judges.issues, judges.checks, judges.pushed.append),
            ends=self.ends,
            settings=SETTINGS,
            server_version="1.4.0",
            clock=judges.clock,
        )

    async def look(self):
        """Look; return device ids and names of open issues."""
        self.judges.passes(minutes=1)
        await self.watch.look(self.judges.now)
        found = await self.judges.issues.find_open()
        return sorted((one.device_id, one.name) for one in found)


@pytest.fixture
def run(mongo_uri):
    return story_runner(mongo_uri, Bench)


def test_issues_open_and_close_with_what_is_seen(run):
    async def story(bench):
        add, devices = bench.judges.add, bench.judges.devices
        await add("d-late", clock_skew_ms=-121_000, agent_version="1.4.0")
        await add("d-says", {"agent": {"clock": "wrong"}}, agent_version="1.4.0")
        await add("d-old", agent_version="1.2.9")
        await add("d-one", hostname="twin", agent_version="1.3.0")
        await add("d-two", hostname="twin", agent_version="1.3.0")
        assert await bench.look() == [
            ("d-late", "clock-skew"),
            ("d-old", "agent-outdated"),
            ("d-one", "duplicate-hostname"),
            ("d-says", "clock-skew"),
            ("d-two", "duplicate-hostname"),
        ]
        now = bench.judges.now
        await devices.seen("d-late", now, clock_skew_ms=3)
        await devices.seen("d-old", now, agent_version="1.4.0")
        await devices.revoke("d-two", "", now)
        await bench.judges.report("d-says", {"agent": {"clock": "ok"}})
        assert await bench.look() == []

    run(story)


def test_devices_that_are_not_let_in_are_not_looked_at(run):
    async def story(bench):
        for state in ("pending", "revoked"):
            await bench.judges.add(f"d-{state}", state=state, clock_skew_ms=900_000)
        await bench.judges.add("d-blocked", state="blocked", clock_skew_ms=900_000)
        assert await bench.look() == [("d-blocked", "clock-skew")]

    run(story)


def test_a_device_that_does_not_renew_is_found_until_it_does(run):
    async def story(bench):
        soon = bench.judges.now + timedelta(days=3)
        await bench.judges.add(
            "d-a", certificate_expires_time=soon, last_seen_time=bench.judges.now
        )
        assert await bench.look() == [("d-a", "expiring-certificate")]
        (issue,) = await bench.judges.issues.find_open()
        assert issue.summary.startswith("The device's own certificate ends on")
        later = bench.judges.now + timedelta(days=14)
        await bench.judges.devices.add_certificate("d-a", "1", later, None)
        assert await bench.look() == []

    run(story)


def test_an_end_comes_back_with_each_step_that_an_operator_closed(run):
    async def story(bench):
        subject = "server:certificate/main"
        end = bench.judges.now + timedelta(days=29)
        bench.ends.ending = [
            Expiring(subject, "server-port-7443", "The certificate", end, timedelta(days=30))
        ]
        assert await bench.look() == [(subject, "expiring-certificate")]
        (issue,) = await bench.judges.issues.find_open()
        assert (issue.hostname, issue.severity) == ("server-port-7443", "medium")
        await bench.judges.desk.close(
            [issue.issue_id], operator="ann", reason="I know", now=bench.judges.now
        )
        assert await bench.look() == []
        bench.judges.passes(days=16)
        assert await bench.look() == [(subject, "expiring-certificate")]
        bench.judges.passes(days=8)
        await bench.look()
        (issue,) = await bench.judges.issues.find_open()
        assert issue.severity == "critical"
        bench.ends.ending = []
        assert await bench.look() == []

    run(story)
