"""Orders run in their lanes, end when they are called off, and outlive the agent."""

from dataclasses import replace
from datetime import timedelta

import pytest

from tests.penguin_agent.order_acts import (
    MINUTE,
    Recorded,
    patch,
    recorded_device,
    release,
    settled,
)
from tests.penguin_agent.order_device import claimed_id, until


@pytest.fixture
def device(folder, fleet):
    return recorded_device(folder, fleet)


async def fill_lane(device):
    """Return the ids of four commands that run, and of one that waits for them."""
    running = [device.put(device.command("true")) for _ in range(4)]
    await until(lambda: device.act.parallel == 4)
    waiting = device.put(device.command("true"))
    await until(lambda: device.post.last(waiting))
    return running, waiting


def test_lanes(device):
    device.act.gate.clear()

    async def story(device):
        ids = [device.put(device.command("true")) for _ in range(7)]
        await until(lambda: device.act.parallel == 4)
        tree = [device.put(patch(device, f"plugins/{n}")) for n in range(2)]
        tree.append(device.put(release(device, 1)))
        await until(lambda: device.act.parallel == 5)
        await until(lambda: all(device.post.last(one) for one in (*ids, *tree)))
        await settled(device)
        assert device.act.most == 5
        # What is urgent does not wait behind either.
        receipt = await device.done(device.cancel(ids[-1]))
        assert receipt.details == {"orders": {ids[-1]: "cancelled"}}
        device.act.gate.set()
        for one in (*ids[:-1], *tree):
            assert (await device.ended(one)).state == "succeeded"
        assert ids[-1] not in device.act.ran

    device.run(story)


def test_what_changes_the_tree_is_taken_in_the_order_in_which_it_came(device):
    files = [
        {"path": f"data/{number}", "mode": "0644", "size": 1, "sha256": "0" * 64}
        for number in range(2000)
    ]

    async def story(device):
        # The first takes long to be judged, the second does not.
        large = release(device, 1, body={"label": "large", "files": files, "settings": {}})
        ids = [device.put(one) for one in (large, patch(device, "plugins/x"), release(device, 2))]
        ends = [(await device.ended(one)).state for one in ids]
        assert (ends, device.act.ran) == (["succeeded"] * 3, ids)

    device.run(story)


def test_an_order_that_waits_too_long_expires(device):
    device.act.gate.clear()

    async def story(device):
        ids, last = await fill_lane(device)
        device.wall.offset = 2 * timedelta(hours=1)
        device.act.gate.set()
        assert (await device.ended(last)).state == "expired"
        assert last not in device.act.ran
        assert [(await device.ended(one)).state for one in ids] == ["succeeded"] * 4

    device.run(story)


def test_an_order_that_waits_is_voided_by_a_newer_trust_document(device):
    device.act.gate.clear()

    async def story(device):
        ids, last = await fill_lane(device)
        floor = device.wall() + MINUTE
        device.document = replace(device.document, ticket_floor_time=floor)
        device.act.gate.set()
        receipt = await device.ended(last)
        assert (receipt.state, receipt.code) == ("refused", "voided")
        assert ids

    device.run(story)


def test_a_running_order_is_called_off(device):
    device.act.gate.clear()

    async def story(device):
        order_id = device.put(device.command("true"))
        await until(lambda: device.act.parallel == 1)
        other = await device.done(device.cancel(order_id, kind="cancel-patch"))
        assert other.details == {"orders": {order_id: "other-kind"}}
        cancel = await device.done(device.cancel(order_id))
        assert cancel.details == {"orders": {order_id: "cancelled"}}
        receipt = await device.ended(order_id)
        assert (receipt.state, receipt.code) == ("cancelled", "called-off")
        assert cancel.order_id in receipt.reason
        again = await device.done(device.cancel(order_id))
        assert again.details == {"orders": {order_id: "cancelled"}}

    device.run(story)


def test_what_ended_stays_as_it_was(device):
    async def story(device):
        order_id = (await device.done(device.command("true"))).order_id
        cancel = await device.done(device.cancel(order_id))
        assert cancel.details == {"orders": {order_id: "succeeded"}}

    device.run(story)


def test_an_order_that_was_called_off_before_it_came_is_not_acted_on(device):
    envelope = device.command("true")
    unrelated = device.command("true")

    async def first(device):
        cancel = await device.done(device.cancel(claimed_id(envelope)))
        assert cancel.details == {"orders": {claimed_id(envelope): "remembered"}}

    async def then(device):
        assert (await device.done(envelope)).state == "cancelled"
        assert (await device.done(unrelated)).state == "succeeded"

    device.run(first)
    device.run(then)
    assert device.act.ran == [claimed_id(unrelated)]


def test_an_agent_that_ends_is_asked_at_the_next_start_what_became_of_it(device):
    device.act.gate.clear()

    running, waiting = device.run(fill_lane)
    device.act.gate.set()

    async def then(device):
        for one in running:
            assert (await device.ended(one)).state == "interrupted"
        assert (await device.ended(waiting)).state == "succeeded"

    device.run(then)
    assert sorted(device.act.resumed) == sorted(running)
    assert device.act.ran.count(waiting) == 1


def test_an_accepted_order_is_judged_again_at_the_next_start(device, fleet):
    device.act.gate.clear()
    _, waiting = device.run(fill_lane)
    device.document = fleet.document("bob")

    async def then(device):
        assert (await device.ended(waiting)).state == "refused"

    device.run(then)
    assert waiting not in device.act.ran


def test_an_act_with_a_bug_ends_its_order_only(device):
    class Buggy(Recorded):
        async def run(self, order, progress):
            raise ZeroDivisionError

    device.more_acts = {"command": Buggy(), "patch": device.act}

    async def story(device):
        receipt = await device.done(device.command("true"))
        assert (receipt.state, receipt.code) == ("failed", "internal")
        assert (await device.done(patch(device))).state == "succeeded"

    device.run(story)


def test_the_last_word_is_told_to_whoever_waits_for_it(device):
    async def story(device):
        receipt = await device.done(device.command("true"))
        await until(lambda: device.delivered == [receipt.order_id])

    device.run(story)
