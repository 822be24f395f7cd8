"""Devices that meddle with others' orders, lie about their own, or print without end."""

from __future__ import annotations

from functools import partial

import pytest
from bson import BSON

from penguindome import certs
from penguindome.framing import frame
from penguindome.keys import sign
from penguindome.orders.receipts import SealedReceipt
from penguindome.strict_json import canonical_json, parse_json
from penguindome.v1 import agent_pb2, device_pb2, order_pb2
from tests.harness.database import mongo_uri
from tests.harness.office_stories import in_office, signers, until
from tests.harness.ordering import laptop, printed
from tests.harness.serving import refusal

__all__ = ["mongo_uri", "signers"]

pytestmark = pytest.mark.timeout(180)
RECORDS = ("orders", "order_targets", "order_output", "issues")
LIMIT = 1024 * 1024


async def everything(office):
    """Return every record about orders, byte for byte, and how many ends the ledger has."""
    db = office.server.database.db
    found = {
        name: [BSON.encode(one) async for one in db[name].find().sort("_id", 1)] for name in RECORDS
    }
    rows = await office.server.stores.ledger.after(0, 10_000)
    return found, sum(row.action == "order.receipt" for row in rows)


async def victim_and_thief(office):
    """Return two devices, and an order that the first one was sent."""
    victim, thief = await laptop(office.server, "victim"), await laptop(office.server, "thief")
    patch = await office.submit(office.patch(victim.named, "plugins/x", content=b"secret"))
    async with victim.connected():
        await victim.next_order()
    await until(lambda: told_of(office, victim))
    return victim, thief, patch.order_id


async def told_of(office, victim):
    """Wait for the issue that the patch opens: later it would look like the thief's work."""
    return (await office.server.stores.issues.open_names([victim.device_id])).get(victim.device_id)


def test_a_device_answers_for_no_other(mongo_uri, signers):
    async def story(office):
        victim, thief, order_id = await victim_and_thief(office)
        before = await everything(office)
        for state in ("accepted", "succeeded", "refused", "cancelled"):
            assert await thief.say(thief.word(order_id, state)) == [order_id]
        assert await thief.say(outputs=[printed(order_id, b"mine now")]) == [order_id]
        stolen = victim.word(order_id, "succeeded")
        assert (await refusal(thief.say(stolen))).code == "bad-receipt"
        in_the_name = thief.word(order_id, "succeeded", device_id=victim.device_id)
        assert (await refusal(thief.say(in_the_name))).code == "bad-receipt"
        assert await everything(office) == before
        async with thief.connected():
            await thief.no_order()
        assert await victim.say(victim.word(order_id, "succeeded")) == []
        assert await office.states(order_id) == {victim.device_id: "succeeded"}

    in_office(mongo_uri, signers, story)


def test_a_device_fetches_nothing_of_another_ones_order(mongo_uri, signers):
    async def story(office):
        _, thief, order_id = await victim_and_thief(office)
        before = await everything(office)
        digest = parse_json((await office.get(order_id)).envelope.payload)["body"]["files"][0][
            "entry"
        ]["sha256"]
        for wanted in (order_id, "0" * 26, ""):
            request = agent_pb2.FetchBlobRequest(order_id=wanted, sha256=bytes.fromhex(digest))
            error = await refusal(thief.agent.FetchBlob(request).read())
            assert error.code not in {"internal", "unavailable"}
            assert "secret" not in error.text()
        assert await everything(office) == before

    in_office(mongo_uri, signers, story)


def test_no_device_can_call_an_order_off_or_hand_one_in(mongo_uri, signers):
    async def story(office):
        victim, thief, order_id = await victim_and_thief(office)
        before = await everything(office)
        stub = type(office.stub())(office.server.channel(thief.identity))
        withdrawal = order_pb2.WithdrawOrderRequest(order_id=order_id)
        cancel = order_pb2.SubmitOrderRequest(
            envelope=office.cancel("patch", victim.named, order_id)
        )
        watch = order_pb2.WatchOrderRequest(order_id=order_id)
        for call in (
            stub.WithdrawOrder(withdrawal),
            stub.SubmitOrder(cancel),
            stub.WatchOrder(watch).read(),
        ):
            assert (await refusal(call)).code == "not-permitted"
        assert await everything(office) == before

    in_office(mongo_uri, signers, story)


def changed(web, about, **changes):
    """Return a device's receipt with other fields, signed as it should be."""
    facts = parse_json(web.word(about, "succeeded").payload)
    payload = canonical_json({**facts, **changes})
    return SealedReceipt(payload, sign(web.identity.key, frame("receipt", payload)))


def forged(web, order_id):
    """Return receipts that look like a device's own, with what is wrong with them."""
    good = web.word(order_id, "succeeded")
    key = web.identity.key
    sealed = partial(changed, web, order_id)

    deep = []
    for _ in range(40):
        deep = [deep]
    yield (
        "another key",
        SealedReceipt(good.payload, sign(certs.generate_key(), frame("receipt", good.payload))),
    )
    yield "unframed", SealedReceipt(good.payload, sign(key, good.payload))
    yield "a report's frame", SealedReceipt(good.payload, sign(key, frame("enroll", good.payload)))
    yield "altered", SealedReceipt(good.payload + b" ", good.signature)
    yield "no signature", SealedReceipt(good.payload, b"")
    yield "long signature", SealedReceipt(good.payload, good.signature + bytes(1000))
    yield "another fleet", sealed(fleet="0" * 32)
    yield "another device", sealed(device_id="d-" + "a" * 16)
    yield "a server's state", sealed(state="queued")
    yield "no state", sealed(state="won")
    yield "number 0", sealed(number=0)
    yield "number 2**60", sealed(number=2**60)
    yield "no order", sealed(order_id="x" * 26)
    yield "no time", sealed(time_unix_ms=2**53)
    yield "a query", sealed(part={"$gt": ""})
    yield "more fields", sealed(approved=True)
    yield "deep details", sealed(details={"a": deep})
    yield "long details", sealed(details={"a": "x" * 70_000})
    yield "no JSON", SealedReceipt(b"\xff", sign(key, frame("receipt", b"\xff")))


def test_a_forged_receipt_changes_nothing_nor_what_stands_beside_it(mongo_uri, signers):
    async def story(office):
        web = await laptop(office.server)
        order_id = (await office.submit(office.command(web.named))).order_id
        async with web.connected():
            await web.next_order()
        before = await everything(office)
        good = web.word(order_id, "succeeded")
        for what, one in forged(web, order_id):
            error = await refusal(web.say(good, one, outputs=[printed(order_id, b"x")]))
            assert error.code in {"bad-receipt", "bad-json", "bad-time"}, (what, error)
            assert await everything(office) == before, what
        assert await web.say(good) == []
        assert await office.states(order_id) == {web.device_id: "succeeded"}

    in_office(mongo_uri, signers, story)


def test_receipts_come_again_and_for_other_orders_to_no_effect(mongo_uri, signers):
    async def story(office):
        web = await laptop(office.server)
        async with web.connected():
            one, two = [(await office.submit(office.command(web.named))).order_id for _ in range(2)]
            for _ in range(2):
                await web.next_order()
        words = [web.word(one, "running", 1), web.word(one, "failed", 2, exit_code=3)]
        await web.say(*words)
        await office.wait_for(one, failed=1)
        await until(lambda: ended(office, one))
        before = await everything(office)
        await web.say(*words)
        await web.say(words[0])
        await web.say(web.word(one, "succeeded", 3), web.word(one, "running", 4))
        assert await everything(office) == before
        (target,) = (await office.get(one)).targets
        assert (target.state, target.exit_code) == ("failed", 3)
        assert await office.states(two) == {web.device_id: "sent"}, "each names its own order"

    in_office(mongo_uri, signers, story)


async def ended(office, order_id):
    return (await office.get(order_id)).order.ended


def test_a_revoked_device_gets_and_says_nothing_more_while_others_go_on(mongo_uri, signers):
    async def story(office):
        server = office.server
        web, other = await laptop(server), await laptop(server, "other")
        devices = server.devices(office.operators["alice"])
        async with other.connected():
            async with web.connected():
                first = await office.submit(office.command({**web.named, **other.named}))
                for one in (web, other):
                    await one.next_order()
                await web.say(web.word(first.order_id, "running"))
                await devices.RevokeDevice(
                    device_pb2.RevokeDeviceRequest(device_id=web.device_id, reason="stolen")
                )
                second = await refusal(office.submit(office.command(web.named)))
                assert second.code == "wrong-devices"
                error = await refusal(web.say(web.word(first.order_id, "succeeded", 2)))
                assert error.code == "revoked"
                await web.no_order()
            assert await other.say(other.word(first.order_id, "succeeded")) == []
            await office.wait_for(first.order_id, running=1, succeeded=1)
        server.clock.move(days=25)
        server.clock.move(days=8)

        async def given_up():
            found = await server.stores.order_targets.get(first.order_id, web.device_id)
            return found.state == "expired"

        await until(given_up)

    in_office(mongo_uri, signers, story)
