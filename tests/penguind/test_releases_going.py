"""Releases on their way: rings that open, releases that halt, and what the server complains of."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import pytest

from penguind.domain.rollout_plan import Ring, share
from penguindome.errors import PreconditionFailed
from tests.penguind.release_bench import fleet, ids, release_runner

CANARY = Ring("canary", selectors=("label:canary",))


@pytest.fixture
def run(mongo_uri):
    return release_runner(mongo_uri)


def test_a_device_that_went_back_is_offered_only_a_newer_release(run):
    async def story(bench):
        await fleet(bench, a="", b="", c="", d="", e="")
        one = await bench.publish(1)
        await bench.take(one, "b", "c", "d", "e")
        two = await bench.publish(2, healthy_percent=50)
        await bench.take(two, "b", "c", "d")
        await bench.take(two, "a", state="failed", reason="mood fails")
        assert (await bench.look())[2] == ("rolling", 1)
        assert await bench.due(a=0) == {}
        # Not an older one either: the device has seen a higher number.
        await bench.desk.change(2, "withdraw", reason="bad", now=bench.now)
        assert await bench.due(a=0, e=1) == {}
        assert await bench.issues() == [("release-failed", "a")]
        three = await bench.publish(3)
        assert await bench.due(a=0, b=2) == {"a": 3, "b": 3}
        await bench.take(three, "a")
        await bench.look()
        assert await bench.issues() == []

    run(story)


def test_a_halted_release_goes_to_nobody_and_opens_an_issue_of_its_own(run):
    async def story(bench):
        await fleet(bench, a="canary", b="")
        order = await bench.publish(1, CANARY, automatic=True)
        await bench.take(order, "a", state="failed", reason="no check-in within 10 min")
        assert bench.woken.is_set()
        assert await bench.look() == {1: ("halted", 1)}
        rows = [one async for one in bench.judges.database.db["ledger"].find()]
        assert [(one["actor"], one["action"], one["target"]) for one in rows] == [
            ("server", "release.rollout", "1")
        ]
        assert await bench.issues() == [
            ("release-failed", "a"),
            ("release-halted", "release-1"),
        ]
        (issue,) = await bench.judges.issues.find_open(name="release-halted")
        assert issue.hostname == "release-1"
        reason = (await bench.judges.issues.get(issue.issue_id)).timeline[0].reason
        assert reason == "1 of 1 devices in ring canary did not stand it"
        await fleet(bench, c="canary")
        assert await bench.due(b=0, c=0) == {}
        with pytest.raises(PreconditionFailed, match="halted"):
            await bench.desk.change(1, "advance", reason="", now=bench.now)
        await bench.desk.change(1, "resume", reason="looked at it", now=bench.now)
        # The failure that was seen does not halt it again, another one does.
        assert await bench.look(minutes=1) == {1: ("rolling", 1)}
        assert await bench.issues() == [("release-failed", "a")]
        assert await bench.due(b=0, c=0) == {"c": 1}
        await bench.take(order, "c", state="failed")
        assert await bench.look(minutes=1) == {1: ("halted", 1)}

    run(story)


def test_selectors_that_nobody_can_read_any_more_hold_nothing_up(run):
    async def story(bench):
        await fleet(bench, a="canary", b="")
        await bench.publish(1, CANARY)
        broken = {"plan.rings.0.selectors": ["colour:red"]}
        await bench.judges.database.db["rollouts"].update_one({"_id": 1}, {"$set": broken})
        assert await bench.due(a=0, b=0) == {}
        assert await bench.look() == {1: ("rolling", 1)}
        await bench.desk.change(1, "advance", reason="", now=bench.now)
        assert await bench.due(a=0, b=0) == {"a": 1, "b": 1}

    run(story)


def test_devices_that_forbid_releases_hold_nothing_up_and_lag_behind_nothing(run):
    async def story(bench):
        await fleet(bench, a="", b="")
        await bench.judges.devices.seen(*ids("b"), bench.now, denied=("releases",))
        order = await bench.publish(1)
        await bench.take(order, "a")
        assert await bench.look() == {1: ("complete", 1)}
        (counts,) = (await bench.desk.standings([await bench.desk.get(1)]))[1].rings
        assert (counts.devices, counts.healthy, counts.refused) == (2, 1, 1)
        bench.judges.passes(days=5)
        await bench.judges.devices.seen_many(ids("b"), bench.now)
        await bench.look()
        assert await bench.issues() == []

    run(story)


def test_rings_open_by_themselves_after_the_soak(run):
    async def story(bench):
        await fleet(bench, a="canary", b="", c="")
        hour = timedelta(hours=1)
        order = await bench.publish(1, CANARY, Ring("half", 50), automatic=True, soak=hour)
        assert await bench.look(hours=5) == {1: ("rolling", 1)}
        await bench.take(order, "a")
        assert await bench.look() == {1: ("rolling", 1)}
        assert await bench.look(minutes=59) == {1: ("rolling", 1)}
        assert await bench.look(minutes=1) == {1: ("rolling", 2)}
        half = [one for one in ("b", "c") if share(*ids(one), 1) < 50]
        await bench.take(order, *half)
        await bench.look()
        assert await bench.look(hours=1) == {1: ("rolling", 3)}
        await bench.take(order, *({"b", "c"} - set(half)))
        assert await bench.look() == {1: ("complete", 3)}

    run(story)


def test_devices_that_lag_behind_are_named_after_three_days(run):
    async def story(bench):
        await fleet(bench, a="", b="", c="")
        order = await bench.publish(1)
        await bench.take(order, "a")
        await bench.take(order, "b", state="sent")
        bench.judges.passes(days=2)
        await bench.judges.devices.seen_many(ids("b"), bench.now)
        await bench.look()
        assert await bench.issues() == []
        await bench.look(days=2)
        # c was not here since: it could not take anything.
        assert await bench.issues() == [("release-outdated", "b")]
        sent = await bench.target(order, "b")
        await bench.targets.hear([replace(sent, state="succeeded", number=3)], {})
        await bench.look(minutes=1)
        assert await bench.issues() == []

    run(story)


def test_a_release_that_can_soon_be_given_no_more_is_told_of_and_then_not_given(run):
    async def story(bench):
        await fleet(bench, a="")
        await bench.publish(1, days=20)
        await bench.look(days=5)
        assert await bench.issues() == []
        await bench.look(days=2)
        assert await bench.issues() == [("release-ending", "release-1")]
        assert await bench.due(a=0) == {"a": 1}
        await bench.look(days=13)
        assert await bench.due(a=0) == {}

    run(story)


def test_the_worker_wakes_devices_when_a_ring_opens_whoever_opened_it(run):
    async def story(bench):
        await fleet(bench, a="canary", b="")
        await bench.worker._turn()
        assert bench.wanted == []
        await bench.publish(1, CANARY)
        await bench.worker._turn()
        assert bench.wanted == [ids("a")]
        await bench.worker._turn()
        assert len(bench.wanted) == 1
        former = await bench.rollouts.get(1)
        await bench.rollouts.replace(former, former.advanced(bench.now))
        await bench.worker._turn()
        assert len(bench.wanted) == 2

    run(story)
