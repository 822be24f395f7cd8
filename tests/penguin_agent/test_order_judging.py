"""An order is acted on once, by those who may, here, in time; whatever else comes is refused."""

import asyncio
from dataclasses import replace

import pytest

from penguin_agent.orders.history import history
from penguindome.envelope import Envelope
from penguindome.ids import new_device_id
from penguindome.orders.bodies import CommandBody
from tests.penguin_agent.order_acts import (
    DAY,
    MINUTE,
    Recorded,
    patch,
    recorded_device,
    release,
    settled,
)
from tests.penguin_agent.order_device import HOST, Device, claimed_id, until


@pytest.fixture
def device(folder, fleet):
    return recorded_device(folder, fleet)


def test_an_order_is_acted_on_once_however_often_it_comes(device):
    envelope = device.command("true")

    async def story(device):
        for _ in range(5):
            device.put(envelope)
        receipt = await device.ended(claimed_id(envelope))
        assert receipt.state == "succeeded"
        count = len(device.post.receipts[receipt.order_id, ""])
        device.put(envelope)
        # The server asked once more, so it hears the last word once more.
        await until(lambda: len(device.post.receipts[receipt.order_id, ""]) > count)
        assert device.post.last(receipt.order_id) == receipt

    device.run(story)
    device.run(story)
    assert len(device.act.ran) == 1


def test_an_order_is_known_after_it_expired(device):
    envelope = device.command("true")

    async def story(device):
        await device.done(envelope)
        device.wall.offset = 20 * DAY
        count = len(device.post.receipts[claimed_id(envelope), ""])
        device.put(envelope)
        await until(lambda: len(device.post.receipts[claimed_id(envelope), ""]) > count)
        assert device.post.last(claimed_id(envelope)).state == "succeeded"

    device.run(story)
    assert len(device.act.ran) == 1


def test_another_order_with_a_known_id_is_not_acted_on(device):
    first = device.command("true")
    second = device.command("false", id=claimed_id(first))

    async def story(device):
        await device.done(first)
        device.put(second)
        await settled(device)

    device.run(story)
    assert len(device.act.ran) == 1


def mangled(device):
    good = device.command("true")
    return Envelope(good.kind, good.payload.replace(b"true", b"halt"), good.signatures)


UNSIGNED = {
    "nobody signed": lambda d: Envelope("command", d.command("true").payload),
    "somebody else signed": lambda d: d.command("true", by=("mallory",)),
    "a byte changed": mangled,
    "another kind": lambda d: replace(d.command("true"), kind="wipe"),
    "no such kind": lambda d: replace(d.command("true"), kind="format"),
}


@pytest.mark.parametrize("case", UNSIGNED)
def test_what_operators_did_not_sign_is_refused_and_counted(device, case):
    envelope = UNSIGNED[case](device)

    async def story(device):
        receipt = await device.done(envelope)
        assert (receipt.state, receipt.number) == ("refused", 1)
        device.put(envelope)
        await until(lambda: history(device.orders.store.file)[0]["times"] == 2)
        assert device.orders.engine.refused["count"] == 1
        assert device.orders.engine.refused["reason"] == receipt.reason
        # The id is the server's word only: the order that operators signed is still acted on.
        assert device.orders.store.find(receipt.order_id) is None

    device.run(story)
    assert not device.act.ran
    assert device.post.states(claimed_id(envelope)) == ["refused"]


def test_a_forged_copy_does_not_keep_the_order_from_being_acted_on(device):
    good = device.command("true")

    async def story(device):
        await device.done(Envelope(good.kind, good.payload))
        device.put(good)
        await until(lambda: device.act.ran)
        await until(lambda: device.post.last(claimed_id(good)).state == "succeeded")

    device.run(story)


def test_receipts_about_forgeries_are_bounded(device):
    device.post.connected.clear()

    async def story(device):
        for _ in range(100):
            device.put(Envelope("command", device.command("true").payload))
            await asyncio.sleep(0)
        await until(lambda: device.orders.engine.refused["count"] == 100)
        device.post.connected.set()
        await until(lambda: len(device.post.receipts) == 64)
        await settled(device)
        assert len(device.post.receipts) == 64

    device.run(story)


def test_garbage_is_refused_without_an_answer(device):
    async def story(device):
        device.put(Envelope("command", b"\xff{", (b"junk",)))
        device.put(Envelope("command", b"[" * 200_000))
        device.put(Envelope("no kind\n", b"{}"))
        await until(lambda: device.orders.engine.refused["count"] == 3)

    device.run(story)
    assert not device.post.receipts


SIGNED = {
    "expired": (lambda d: {"issued_time": d.wall() - DAY, "not_before_time": d.wall() - DAY,
                           "expires_time": d.wall() - MINUTE}, "expired", "expired"),
    "not yet valid": (lambda d: {"not_before_time": d.wall() + 30 * MINUTE}, "refused",
                      "not-yet-valid"),
    "too long": (lambda d: {"expires_time": d.wall() + 31 * DAY}, "refused", "too-long"),
    "another hostname": (lambda d: {"host": "web2"}, "refused", "hostname-differs"),
}  # fmt: skip


@pytest.mark.parametrize("case", SIGNED)
def test_what_operators_signed_but_is_not_good_here_and_now_is_refused_for_ever(device, case):
    changes, state, code = SIGNED[case]
    envelope = device.command("true", **changes(device))

    async def story(device):
        receipt = await device.done(envelope)
        assert (receipt.state, receipt.code) == (state, code)
        # It is no attack, and it stays refused even if it would be good later.
        assert device.orders.engine.refused["count"] == 0
        device.hostname = "web2"
        device.wall.offset = 31 * MINUTE
        device.put(envelope)
        await settled(device)

    device.run(story)
    assert not device.act.ran
    assert set(device.post.states(claimed_id(envelope))) == {state}


def test_an_order_for_another_device_does_nothing(device, folder, fleet):
    other = Device(folder / "other", fleet)
    envelope = other.command("true")

    async def story(device):
        receipt = await device.done(envelope)
        assert (receipt.state, receipt.code) == ("refused", "wrong-device")

    device.run(story)
    assert not device.act.ran


@pytest.mark.parametrize("kind", ["commands", "patches", "releases"])
def test_the_devices_own_settings_forbid(folder, fleet, kind):
    device = Device(folder, fleet, **{kind: False})
    act = Recorded()
    device.more_acts = dict.fromkeys(("command", "patch", "release"), act)
    made = {
        "commands": lambda: device.command("true"),
        "patches": lambda: patch(device),
        "releases": lambda: release(device, 1),
    }

    async def story(device):
        receipt = await device.done(made[kind]())
        assert (receipt.state, receipt.code) == ("refused", "not-allowed")
        assert kind in receipt.reason

    device.run(story)
    assert not act.ran


def test_a_newer_trust_document_is_fetched_before_an_order_is_refused(device, fleet):
    device.newer = replace(fleet.document("alice", "bob"), version=2)

    async def story(device):
        assert (await device.done(device.command("true", by=("bob",)))).state == "succeeded"

    device.run(story)


def test_two_signatures_are_two_operators(folder, fleet):
    device = Device(folder, fleet, "alice", "bob", threshold=2)
    device.act = Recorded()
    device.act.gate.set()
    device.more_acts = {"command": device.act}

    async def story(device):
        for by in (("alice",), ("alice", "alice"), ("alice", "mallory")):
            receipt = await device.done(device.command("true", by=by))
            assert (receipt.state, receipt.code) == ("refused", "not-signed")
        assert (await device.done(device.command("true", by=("bob", "alice")))).state == "succeeded"

    device.run(story)


def test_releases_only_grow(device):
    async def story(device):
        assert (await device.done(release(device, 5))).state == "succeeded"
        old = await device.done(release(device, 4))
        assert (old.state, old.code) == ("refused", "old-number")
        other = await device.done(release(device, 5, "another"))
        assert (other.state, other.code) == ("refused", "equivocation")
        assert (await device.done(release(device, 6))).state == "succeeded"

    device.run(story)
    assert len(device.act.ran) == 2


def test_a_device_that_is_not_in_the_hostnames_is_refused(device):
    other = new_device_id()
    body = CommandBody({other: HOST}, "x", ("true",)).to_json()

    async def story(device):
        receipt = await device.done(device.order("command", body))
        assert (receipt.state, receipt.code) == ("refused", "wrong-targets")

    device.run(story)
