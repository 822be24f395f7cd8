"""Orders from an operator's hand to a device and back."""

from __future__ import annotations

import asyncio
import hashlib
import json
from datetime import timedelta

from penguindome.v1 import order_pb2
from tests.harness.office_stories import in_office, signers, until
from tests.harness.ordering import id_of, laptop, printed
from tests.harness.serving import refusal

__all__ = ["signers"]


async def read(office, order_id, device_id, **fields):
    request = order_pb2.ReadOutputRequest(
        order_id=order_id, device_id=device_id, stream="stdout", **fields
    )
    return [(one.offset, one.data) async for one in office.stub().ReadOutput(request)]


def test_a_command_reaches_its_device_and_its_end_comes_back(mongo_uri, signers):
    async def story(office):
        web = await laptop(office.server)
        async with web.connected():
            envelope = office.command(web.named)
            order = await office.submit(envelope)
            assert (order.missing_signatures, list(order.signed_by)) == (0, ["alice"])
            came = await web.next_order()
            assert came == envelope
            order_id = id_of(came)
            assert (await office.states(order_id)) == {web.device_id: "sent"}
            unknown = await web.say(
                web.word(order_id, "accepted"),
                web.word(order_id, "running", 2),
                web.word(order_id, "succeeded", 3, exit_code=0, stdout_bytes=5),
                outputs=[printed(order_id, b"hello")],
            )
            assert unknown == []
            order = await office.wait_for(order_id, succeeded=1)
            (target,) = (await office.get(order_id)).targets
            assert (target.exit_code, target.stdout_bytes, target.vouched) == (0, 5, True)
            assert target.receipt.payload
            assert await read(office, order_id, web.device_id) == [(0, b"hello")]
            rows = await office.server.stores.ledger.after(0, 100)
            (row,) = [one for one in rows if one.action == "order.receipt"]
            assert (row.actor, row.target) == (f"device/{web.device_id}", order_id)
            digest = hashlib.sha256(target.receipt.payload).hexdigest()
            assert json.loads(row.details) == {"state": "succeeded", "receipt_sha256": digest}

    in_office(mongo_uri, signers, story)


def test_the_same_order_twice_is_one_and_another_under_its_id_is_refused(mongo_uri, signers):
    async def story(office):
        web = await laptop(office.server)
        envelope = office.command(web.named)
        first = await office.submit(envelope)
        assert await office.submit(envelope) == first
        other = office.command(web.named, id=first.order_id, reason="something else")
        assert (await refusal(office.submit(other))).code == "used-id"
        assert len((await office.get(first.order_id)).targets) == 1

    in_office(mongo_uri, signers, story)


def test_what_a_device_would_refuse_is_refused_here(mongo_uri, signers):
    async def story(office):
        web = await laptop(office.server)
        now = office.server.clock()
        long_ago = now - timedelta(days=2)
        past = {"issued_time": long_ago, "not_before_time": long_ago}
        wrong = {
            "expired": office.command(web.named, **past, expires_time=now - timedelta(days=1)),
            "not-yet-valid": office.command(web.named, issued_time=now + timedelta(hours=1)),
            "too-long": office.command(web.named, expires_time=now + timedelta(days=31)),
            "wrong-fleet": office.command(web.named, fleet="0" * 32),
            "not-signed": office.command(web.named, "mallory"),
            "wrong-kind": office.signed(
                "patch", office.payload("command", web.named, {"name": "x"})
            ),
        }
        unknown = office.signed("launch", office.payload("launch", web.named, {}))
        for code, envelope in {**wrong, "not-supported": unknown}.items():
            assert (await refusal(office.submit(envelope))).code == code
        shuffled = office.command(web.named)
        shuffled.payload += b" "
        assert (await refusal(office.submit(shuffled))).code == "not-signed"
        assert not await office.server.database.db["orders"].count_documents({})

    in_office(mongo_uri, signers, story)


def test_devices_that_cannot_get_it_are_named(mongo_uri, signers):
    async def story(office):
        server = office.server
        web, lost = await laptop(server), await laptop(server, "lost")
        waits, _ = await server.enroll(await server.token(needs_approval=True))
        await server.stores.devices.revoke(lost.device_id, "lost", server.clock())
        stranger = "d-" + "a" * 16
        hosts = {**web.named, **lost.named, waits.name: "web-1", stranger: "nobody"}
        error = await refusal(office.submit(office.command(hosts)))
        assert error.code == "wrong-devices"
        for words in (f"{lost.device_id} (revoked)", f"{waits.name} (pending)", f"{stranger} (unk"):
            assert words in error.reason
        assert web.device_id not in error.reason

    in_office(mongo_uri, signers, story)


def test_only_a_signer_hands_it_in(mongo_uri, signers):
    async def story(office):
        web = await laptop(office.server)
        envelope = office.command(web.named, "alice")
        assert (await refusal(office.submit(envelope, "bob"))).code == "not-your-signature"
        both = office.command(web.named, "alice", "bob")
        assert list((await office.submit(both, "bob")).signed_by) == ["alice", "bob"]

    in_office(mongo_uri, signers, story, "alice", "bob")


def test_an_order_waits_until_enough_signed_it(mongo_uri, signers):
    async def story(office):
        web = await laptop(office.server)
        async with web.connected():
            envelope = office.command(web.named, "alice")
            order = await office.submit(envelope)
            assert order.missing_signatures == 1
            assert await office.states(order.order_id) == {web.device_id: "waiting"}
            await web.no_order()
            listed = await office.stub().ListOrders(order_pb2.ListOrdersRequest(only_waiting=True))
            assert [one.order_id for one in listed.orders] == [order.order_id]
            await asyncio.sleep(1.1)
            error = await refusal(office.approve(envelope, "alice"))
            assert error.code == "signed-already", "another signature of hers, by its time"
            wrong = order_pb2.ApproveOrderRequest(
                order_id=order.order_id,
                payload_sha256=hashlib.sha256(b"another").digest(),
                signature=office.command(web.named, "bob").signatures[0],
            )
            assert (await refusal(office.stub("bob").ApproveOrder(wrong))).code == "other-payload"
            wrong.payload_sha256 = hashlib.sha256(envelope.payload).digest()
            error = await refusal(office.stub("bob").ApproveOrder(wrong))
            assert error.code == "not-your-signature"
            approved = await office.approve(envelope, "bob")
            assert (approved.missing_signatures, list(approved.signed_by)) == (0, ["alice", "bob"])
            came = await web.next_order()
            assert (came.payload, len(came.signatures)) == (envelope.payload, 2)
            assert (await refusal(office.approve(envelope, "carol"))).code == "complete"

    in_office(mongo_uri, signers, story, "alice", "bob", "carol", threshold=2)


def test_two_who_approve_at_once_are_both_counted(mongo_uri, signers):
    async def story(office):
        web = await laptop(office.server)
        envelope = office.command(web.named, "alice")
        await office.submit(envelope)
        await asyncio.gather(office.approve(envelope, "bob"), office.approve(envelope, "carol"))
        order = (await office.get(id_of(envelope))).order
        assert list(order.signed_by) == ["alice", "bob", "carol"]
        assert await office.states(order.order_id) == {web.device_id: "queued"}

    in_office(mongo_uri, signers, story, "alice", "bob", "carol", threshold=3)


def test_what_was_never_sent_can_be_withdrawn_and_nothing_else(mongo_uri, signers):
    async def story(office):
        web, db = await laptop(office.server), await laptop(office.server, "db-1")
        async with web.connected():
            envelope = office.command({**web.named, **db.named})
            order_id = (await office.submit(envelope)).order_id
            await web.next_order()
            request = order_pb2.WithdrawOrderRequest(order_id=order_id, reason="a mistake")
            answer = await office.stub().WithdrawOrder(request)
            assert (answer.withdrawn, answer.order.withdrawn_reason) == (1, "a mistake")
            states = await office.states(order_id)
            assert states == {web.device_id: "sent", db.device_id: "cancelled"}
            async with db.connected():
                await db.no_order()
            await web.say(web.word(order_id, "succeeded"))
            assert (await office.stub().WithdrawOrder(request)).withdrawn == 0
            await until(lambda: ended(office, order_id))

    in_office(mongo_uri, signers, story)


async def ended(office, order_id):
    return (await office.get(order_id)).order.ended


def test_orders_are_found_by_kind_device_state_and_beginning(mongo_uri, signers):
    async def story(office):
        web, db = await laptop(office.server), await laptop(office.server, "db-1")
        stub = office.stub()
        command = await office.submit(office.command(web.named))
        office.server.clock.move(seconds=1)
        patch = await office.submit(office.patch(db.named, "plugins/x"))

        async def found(**fields):
            answer = await stub.ListOrders(order_pb2.ListOrdersRequest(**fields))
            return [one.order_id for one in answer.orders]

        both = [patch.order_id, command.order_id]
        assert await found() == both
        assert await found(limit=1) == both[:1]
        assert await found(kinds=["command"]) == [command.order_id]
        assert await found(device="db-1") == [patch.order_id]
        assert await found(device=web.device_id) == [command.order_id]
        assert await found(states=["queued"]) == both
        assert await found(states=["failed"]) == []
        assert await found(device="nobody") == []
        bad = await refusal(stub.ListOrders(order_pb2.ListOrdersRequest(states=["lost"])))
        assert bad.code == "invalid-input"
        assert (await office.get(patch.order_id[:14].lower())).order == patch
        assert (await refusal(office.get("0"))).code in {"no-order", "ambiguous"}
        assert (await refusal(office.get("$gt"))).code == "no-order"
        assert patch.name == "plugins/x"

    in_office(mongo_uri, signers, story)


def test_a_patch_of_a_file_that_waits_already_is_refused_with_its_names(mongo_uri, signers):
    async def story(office):
        web, db = await laptop(office.server), await laptop(office.server, "db-1")
        hosts = {**web.named, **db.named}
        first = await office.submit(office.patch(hosts, "plugins/x", "plugins/y"))
        error = await refusal(office.submit(office.patch(web.named, "plugins/X")))
        assert error.code == "patch-pending"
        assert error.reason == (
            f"the file plugins/x is in patch {first.order_id}, which has not been taken by the "
            "host web-1"
        )
        error = await refusal(office.submit(office.patch(hosts, "plugins/y", "plugins/x")))
        assert "the files plugins/x, plugins/y are in patch" in error.reason
        assert error.reason.endswith("by the hosts db-1, web-1")
        await office.submit(office.patch(hosts, "plugins/z"))
        async with web.connected():
            for _ in range(2):
                await web.succeed()
            again = await office.submit(office.patch(web.named, "plugins/x"))
            assert again.missing_signatures == 0

    in_office(mongo_uri, signers, story)


def test_of_many_patches_of_a_file_at_once_one_gets_through(mongo_uri, signers):
    async def story(office):
        web, db = await laptop(office.server), await laptop(office.server, "db-1")
        hosts = {**web.named, **db.named}
        patches = [office.patch(hosts, "plugins/x") for _ in range(8)]
        found = await asyncio.gather(*map(office.submit, patches), return_exceptions=True)
        assert sum(isinstance(one, order_pb2.Order) for one in found) == 1
        assert await office.server.database.db["orders"].count_documents({}) == 1

    in_office(mongo_uri, signers, story)
