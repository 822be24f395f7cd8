"""Releases: what can be published, who gets which, how they halt, end and complain."""

from __future__ import annotations

import pytest

from penguind.domain.rollout_plan import Plan, Ring
from penguindome.errors import InvalidInput, NotFound, PreconditionFailed
from penguindome.orders.release_body import ReleaseBody
from tests.penguind.release_bench import entry, fleet, release_runner

CANARY = Ring("canary", selectors=("label:canary",))


@pytest.fixture
def run(mongo_uri):
    return release_runner(mongo_uri)


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


def test_of_two_who_change_a_release_at_the_same_time_one_comes_first(run):
    async def story(bench):
        await fleet(bench, a="")
        await bench.publish(1)
        former = await bench.rollouts.get(1)
        halted = former.halted("odd")
        assert await bench.rollouts.replace(former, halted)
        assert not await bench.rollouts.replace(former, former.withdrawn(""))
        again = await bench.rollouts.get(1)
        assert await bench.rollouts.replace(again, again.resumed(["d-a"]))
        # As it was before is not as it is now, though it looks alike.
        assert not await bench.rollouts.replace(former, former.halted("late"))
        assert (await bench.rollouts.get(1)).excused == ("d-a",)

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
