"""Releases: what can be published, who gets which, how they halt, end and complain."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import pytest

from penguind.domain.rollout_plan import Plan, Ring, share
from penguindome.errors import InvalidInput, NotFound, PreconditionFailed
from penguindome.orders.release_body import ReleaseBody
from tests.harness.judging import story_runner
from tests.penguind.release_bench import ReleaseBench, entry, ids

CANARY = Ring("canary", selectors=("label:canary",))


@pytest.fixture
def run(mongo_uri):
    def run_story(story):
        async def prepared(bench):
            await bench.prepare()
            await story(bench)

        story_runner(mongo_uri, ReleaseBench)(prepared)

    return run_story


async def fleet(bench, **labels):
    """Enroll devices by their letters, with their labels."""
    for letter, label in labels.items():
        await bench.judges.add(ids(letter)[0], hostname=letter, labels=(label,) if label else ())


def test_a_release_needs_all_of_its_contents_and_says_how_many_are_missing(run):
    async def story(bench):
        await fleet(bench, a="")
        files = tuple(entry(f"data/f{i}", bytes([i])) for i in range(9))
        await bench.put(bytes([0]))
        opened, _ = bench.opened("release", ReleaseBody("x", files), number=1)
        with pytest.raises(PreconditionFailed, match="8 of its 9 contents are not here") as error:
            await bench.desk.check(opened, Plan(), bench.now)
        assert error.value.code == "missing-contents"
        assert "data/f1" in error.value.reason
        for i in range(1, 9):
            await bench.put(bytes([i]))
        await bench.desk.check(opened, Plan(), bench.now)

    run(story)


def test_a_number_that_is_not_the_highest_is_refused_with_the_next_free_one(run):
    async def story(bench):
        await fleet(bench, a="")
        await bench.publish(7)
        for number in (1, 6, 7):
            with pytest.raises(InvalidInput) as error:
                await bench.publish(number)
            assert error.value.code == "used-number"
            assert "the number 8" in error.value.remedy
        # Forward, numbers may be left out.
        await bench.publish(900)

    run(story)


def test_two_of_the_same_number_at_the_same_time_cannot_both_be_published(run):
    async def story(bench):
        await fleet(bench, a="")
        body = ReleaseBody("x", ())
        first, other = (bench.opened("release", body, number=3) for _ in range(2))
        order = await bench.submit(*first, Plan())
        with pytest.raises(InvalidInput, match="does not come after release 3"):
            await bench.submit(*other, Plan())
        assert (await bench.rollouts.get(3)).order_id == order.order_id

    run(story)


def test_a_ring_that_picks_nobody_is_refused_before_anything_is_stored(run):
    async def story(bench):
        await fleet(bench, a="canary")
        slip = Ring("canary", selectors=("label:canry",))
        with pytest.raises(InvalidInput, match="pick no active device"):
            await bench.publish(1, slip)
        with pytest.raises(InvalidInput, match="colour"):
            await bench.publish(1, Ring("x", selectors=("colour:red",)))
        assert await bench.desk.list(10) == []

    run(story)


def test_devices_get_the_newest_release_whose_ring_is_open_for_them(run):
    async def story(bench):
        await fleet(bench, a="canary", b="", c="")
        one = await bench.publish(1)
        assert await bench.due(a=0, b=0, c=0) == {"a": 1, "b": 1, "c": 1}
        await bench.take(one, "a", "b", "c")
        assert (await bench.look())[1] == ("complete", 1)
        assert await bench.due(a=1, b=1, c=1) == {}
        two = await bench.publish(2, CANARY)
        assert await bench.due(a=1, b=1, c=1) == {"a": 2}
        # Who is enrolled now gets the newest that is open to it.
        await fleet(bench, d="", e="canary")
        assert await bench.due(d=0, e=0) == {"d": 1, "e": 2}
        await bench.take(two, "a", "e")
        await bench.desk.change(2, "advance", reason="", now=bench.now)
        assert await bench.due(a=2, b=1, d=0) == {"b": 2, "d": 2}

    run(story)


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


def test_a_newer_release_takes_the_place_of_older_ones_and_of_patches(run):
    async def story(bench):
        await fleet(bench, a="canary", b="")
        one = await bench.publish(1)
        await bench.take(one, "a", "b")
        await bench.look()
        two = await bench.publish(2, CANARY)
        patch = await bench.patch("plugins/Mood", "b")
        other = await bench.patch("plugins/other", "b")
        three = await bench.publish(3, CANARY)
        # 1 is complete: who is not in an open ring of 3 still gets it.
        assert await bench.look() == {
            3: ("rolling", 1),
            2: ("superseded", 1),
            1: ("complete", 1),
        }
        assert (await bench.orders.get(two.order_id)).ended_time is not None
        ended = await bench.target(patch, "b")
        assert (ended.state, ended.reason) == ("cancelled", "superseded by release 3")
        assert (await bench.target(other, "b")).state == "queued"
        await bench.desk.change(3, "advance", reason="", now=bench.now)
        await bench.take(three, "a", "b")
        assert (await bench.look())[1] == ("superseded", 1)

    run(story)


def test_a_release_that_lacks_signatures_waits_and_goes_on_with_the_last_one(run):
    async def story(bench):
        await fleet(bench, a="")
        order = await bench.publish(1, missing=1)
        assert await bench.look() == {1: ("waiting", 0)}
        assert await bench.due(a=0) == {}
        # As if the server had died between the last signature and what follows from it.
        former = await bench.orders.get(order.order_id)
        await bench.orders.sign(former, former.envelope, ["ann", "bob"], 0)
        assert await bench.look() == {1: ("rolling", 1)}
        assert await bench.due(a=0) == {"a": 1}

    run(story)


def test_publishing_again_changes_nothing(run):
    async def story(bench):
        await fleet(bench, a="")
        opened, payload = bench.opened("release", ReleaseBody("x", ()), number=1)
        order = await bench.submit(opened, payload, Plan())
        before = await bench.rollouts.get(1)
        bench.judges.passes(minutes=5)
        await bench.desk.publish(order, opened, Plan(automatic=True), bench.now)
        await bench.desk.publish(order, opened, None, bench.now)
        assert await bench.rollouts.get(1) == before

    run(story)


def test_a_withdrawn_release_goes_to_nobody_any_more_and_who_has_it_keeps_it(run):
    async def story(bench):
        await fleet(bench, a="", b="")
        order = await bench.publish(1)
        await bench.take(order, "a")
        await bench.desk.change(1, "withdraw", reason="it was the wrong one", now=bench.now)
        assert await bench.due(a=1, b=0) == {}
        assert (await bench.orders.get(order.order_id)).ended_time is not None
        assert (await bench.target(order, "a")).state == "succeeded"
        with pytest.raises(NotFound):
            await bench.desk.get(0)
        # Its number stays taken.
        with pytest.raises(InvalidInput):
            await bench.publish(1)

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
