"""How targets and orders end beside their devices' word: called off, expired, gone; and repairs."""

from __future__ import annotations

from datetime import timedelta

from penguind.domain.order_making import new_order, release_target
from penguindome.envelope import Envelope
from penguindome.orders.opening import open_order
from penguindome.trust import from_payload
from penguindome.v1 import device_pb2
from tests.harness.office_stories import in_office, signers, until
from tests.harness.ordering import id_of, laptop, printed
from tests.harness.serving import refusal

__all__ = ["signers"]


def test_a_patch_is_called_off_where_it_was_not_sent_and_asked_for_where_it_was(mongo_uri, signers):
    async def story(office):
        web, db = await laptop(office.server), await laptop(office.server, "db-1")
        hosts = {**web.named, **db.named}
        async with web.connected():
            patch = await office.submit(office.patch(hosts, "plugins/x"))
            await web.next_order()
            cancel = await office.submit(office.cancel("patch", hosts, patch.order_id))
            assert list(cancel.cancels_order_ids) == [patch.order_id]
            assert id_of(await web.next_order()) == cancel.order_id
            assert await office.states(patch.order_id) == {
                web.device_id: "sent",
                db.device_id: "cancelled",
            }
            assert await office.states(cancel.order_id) == {
                web.device_id: "sent",
                db.device_id: "succeeded",
            }
            found = {one.device_id: one for one in (await office.get(patch.order_id)).targets}
            assert (found[web.device_id].cancelling, found[db.device_id].vouched) == (True, False)
            await web.say(
                web.word(patch.order_id, "cancelled"), web.word(cancel.order_id, "succeeded")
            )
            for order_id in (patch.order_id, cancel.order_id):
                await until(lambda one=order_id: ended(office, one))
        async with db.connected():
            await db.no_order()

    in_office(mongo_uri, signers, story)


def test_what_the_server_does_not_know_is_called_off_on_the_device(mongo_uri, signers):
    async def story(office):
        web = await laptop(office.server)
        async with web.connected():
            cancel = await office.submit(office.cancel("command", web.named, "0" * 26))
            assert id_of(await web.next_order()) == cancel.order_id

    in_office(mongo_uri, signers, story)


def test_nobody_calls_off_what_another_role_ordered(mongo_uri, signers):
    async def story(office):
        web = await laptop(office.server)
        patch = await office.submit(office.patch(web.named, "plugins/x"))
        error = await refusal(office.submit(office.cancel("command", web.named, patch.order_id)))
        assert (error.code, patch.order_id in error.reason) == ("wrong-order", True)
        cancel = await office.submit(office.cancel("patch", web.named, patch.order_id))
        error = await refusal(office.submit(office.cancel("patch", web.named, cancel.order_id)))
        assert error.code == "wrong-order"
        assert await office.states(patch.order_id) == {web.device_id: "cancelled"}

    in_office(mongo_uri, signers, story)


async def ended(office, order_id):
    return (await office.get(order_id)).order.ended


def test_what_is_out_of_time_ends(mongo_uri, signers):
    async def story(office):
        clock = office.server.clock
        web, db = await laptop(office.server), await laptop(office.server, "db-1")
        async with web.connected():
            order = await office.submit(office.command({**web.named, **db.named}))
            await web.next_order()
        clock.move(days=2)
        await office.wait_for(order.order_id, sent=1, expired=1)
        found = {one.device_id: one for one in (await office.get(order.order_id)).targets}
        assert found[db.device_id].reason == "it expired before it could be sent"
        clock.move(days=30)
        stores = office.server.stores

        async def all_over():
            return (await stores.orders.get(order.order_id)).ended_time

        await until(all_over)
        silent = await stores.order_targets.get(order.order_id, web.device_id)
        assert (silent.state, silent.reason) == ("expired", "no word from the device")

    in_office(mongo_uri, signers, story)


def test_nothing_waits_for_a_device_that_was_revoked_or_deleted(mongo_uri, signers):
    async def story(office):
        server = office.server
        web, db = await laptop(server), await laptop(server, "db-1")
        order = await office.submit(office.command({**web.named, **db.named}))
        stub = server.devices(office.operators["alice"])
        await stub.RevokeDevice(device_pb2.RevokeDeviceRequest(device_id=web.device_id))
        await office.wait_for(order.order_id, cancelled=1, queued=1)
        await stub.RevokeDevice(device_pb2.RevokeDeviceRequest(device_id=db.device_id))
        await stub.DeleteDevice(device_pb2.DeleteDeviceRequest(device_id=db.device_id))
        await office.wait_for(order.order_id, cancelled=2)
        await until(lambda: ended(office, order.order_id))

    in_office(mongo_uri, signers, story)


def test_the_issue_of_pending_patches_is_open_while_one_waits(mongo_uri, signers):
    async def story(office):
        issues = office.server.stores.issues
        web = await laptop(office.server)
        patch = await office.submit(office.patch(web.named, "plugins/x"))

        async def open_names():
            return (await issues.open_names([web.device_id])).get(web.device_id)

        assert await until(open_names) == ["pending-patches"]
        async with web.connected():
            assert await web.succeed() == patch.order_id

            async def gone():
                return await open_names() is None

            await until(gone)

    in_office(mongo_uri, signers, story)


def test_a_refusal_that_contradicts_what_the_device_knows_is_told_for_a_week(mongo_uri, signers):
    async def story(office):
        server = office.server
        web, db = await laptop(server), await laptop(server, "db-1")
        order_id = (await office.submit(office.command({**web.named, **db.named}))).order_id
        await db.say(db.word(order_id, "refused", code="not-allowed"))
        await web.say(web.word(order_id, "refused", code="equivocation"))

        async def named():
            return await server.stores.issues.open_names([web.device_id, db.device_id])

        assert await until(named) == {web.device_id: ["order-refused-signed"]}
        server.clock.move(days=8)

        async def quiet():
            return not any("order-refused-signed" in one for one in (await named()).values())

        await until(quiet)

    in_office(mongo_uri, signers, story)


def test_an_order_that_a_crash_left_waiting_is_sent_all_the_same(mongo_uri, signers):
    async def story(office):
        web = await laptop(office.server)
        order = await office.submit(office.command(web.named))
        targets = office.server.database.db["order_targets"]
        await targets.update_one({}, {"$set": {"state": "waiting"}})
        office.server.clock.move(minutes=2)
        await office.wait_for(order.order_id, queued=1)

    in_office(mongo_uri, signers, story)


def test_a_release_has_targets_for_its_scripts_and_for_nothing_else(mongo_uri, signers):
    async def story(office):
        server = office.server
        web = await laptop(server)
        entry = {"path": "commands/hello", "mode": "0755", "size": 1, "sha256": "0" * 64}
        payload = office.payload(
            "release", {}, {"label": "r1", "files": [entry]}, devices=None, seq=1
        )
        envelope = office.signed("release", payload)
        error = await refusal(office.submit(envelope))
        assert error.code not in {"internal", "unavailable"}, "its content is not here"
        await store_release(office, envelope, web)
        order_id = id_of(envelope)
        await web.say(
            web.word(order_id, "succeeded"),
            web.word(order_id, "running", part="commands/hello"),
            web.word(order_id, "running", part="commands/other"),
            outputs=[printed(order_id, b"hi", part="commands/hello")],
        )
        assert await office.states(order_id) == {
            web.device_id: "succeeded",
            f"{web.device_id}/commands/hello": "running",
        }
        found = {one.part: one for one in (await office.get(order_id)).targets}
        assert found["commands/hello"].stdout_bytes == 2

    in_office(mongo_uri, signers, story)


async def store_release(office, envelope, web):
    """Store a release as if it had been published and sent."""
    server = office.server
    trust = (await server.stores.trust.after(0))[-1][1]
    sealed = Envelope(envelope.kind, envelope.payload, tuple(envelope.signatures))
    opened = open_order(
        sealed,
        trust=from_payload(trust.payload),
        fleet=server.settings.server.fleet_id,
        device_id=None,
        now=server.clock(),
    )
    order = new_order(opened, sealed, ["alice"], server.clock())

    async def work(session):
        await server.stores.orders.insert(order, session=session)

    await server.database.transaction(work, seconds=10)
    await server.stores.order_targets.add(
        [release_target(order, web.device_id, web.hostname, server.clock() - timedelta(minutes=1))]
    )
