"""Two holders of one device's key are found by the server, and one never looks like two."""

import asyncio
import random
from datetime import timedelta

import grpc
import pytest
from grpc_health.v1 import health_pb2, health_pb2_grpc

from penguind.identity.clones import Clones
from penguind.store.ratchets import RatchetStore
from penguindome import certs
from penguindome.error_wire import from_rpc_error
from penguindome.errors import Unavailable
from penguindome.v1 import agent_pb2 as pb
from penguindome.v1 import device_pb2
from tests.harness.machine import machine
from tests.harness.serving import refusal, running

pytestmark = pytest.mark.timeout(60)


def in_server(mongo_uri, story):
    async def run():
        async with asyncio.timeout(50), running(mongo_uri) as server:
            await story(server)

    asyncio.run(run())


async def state(server, who):
    return (await server.stores.devices.get(who.identity.name)).state


async def clone_issues(server, who):
    found = await server.stores.issues.find_open([who.identity.name], name="clone-suspected")
    return [one.name for one in found]


async def cloned(server):
    """Return two machines of one device, the second of which has just been found out."""
    device = await machine(server)
    await device.check_in()
    copy = device.copy()
    await device.check_in()
    error = await refusal(copy.check_in())
    return device, copy, error


def test_a_copied_identity_is_blocked_at_its_first_visit_after_the_devices(mongo_uri):
    async def story(server):
        device, copy, error = await cloned(server)
        assert (error.code, "two machines" in error.reason) == ("blocked", True)
        assert "penguinctl device unblock" in error.remedy
        # Who has no right to come in pushes nobody aside before that.
        assert await device.ending() == "identity-ended"
        assert await state(server, device) == "blocked"
        stored = await server.stores.devices.get(device.identity.name)
        assert stored.blocked_by == "server"
        assert "127.0.0.1" in stored.blocked_reason
        assert await clone_issues(server, device) == ["clone-suspected"]
        for one in (device, copy):
            assert (await refusal(one.check_in())).code == "blocked"
            report = one.stub.SubmitReport(pb.SubmitReportRequest())
            assert (await refusal(report)).code == "blocked"
            assert (await refusal(server.renew(one.identity))).code == "blocked"
            assert (await refusal(server.poll(one.identity))).code == "blocked"
        rows = await server.stores.ledger.after(0, 100)
        assert [row.actor for row in rows if row.action == "device.block"] == ["server"]

    in_server(mongo_uri, story)


def test_the_copy_may_come_first_and_never_confirm(mongo_uri):
    async def story(server):
        device = await machine(server)
        await device.check_in()
        copy = device.copy()
        await copy.check_in(confirms=False)
        await device.check_in()
        assert (await refusal(copy.check_in())).code == "blocked"

    in_server(mongo_uri, story)


def test_live_calls_of_both_end_when_the_device_is_blocked(mongo_uri):
    async def story(server):
        device = await machine(server)
        await device.check_in()
        watch = health_pb2_grpc.HealthStub(server.channel(device.identity)).Watch(
            health_pb2.HealthCheckRequest()
        )
        await watch.read()
        copy = device.copy()
        copy.disk = b"x" * 16
        assert (await refusal(copy.check_in())).code == "blocked"
        with pytest.raises(grpc.RpcError) as caught:
            await watch.read()
        assert from_rpc_error(caught.value).code == "identity-ended"

    in_server(mongo_uri, story)


def test_a_connection_is_not_judged_once_a_newer_one_came_in(mongo_uri):
    async def story(server):
        device = await machine(server)
        await device.check_in()
        copy = device.copy()
        copy.disk = b"x" * 16
        waiting = asyncio.create_task(refusal(copy.check_in()))
        await asyncio.sleep(0.3)
        await device.check_in()
        # It was still looked at when a newer one came in.
        assert isinstance(await waiting, Unavailable)
        assert await state(server, device) == "active"

    in_server(mongo_uri, story)


@pytest.mark.parametrize("times", [1, 4])
def test_lost_welcomes_and_full_disks_are_no_clones(mongo_uri, times):
    async def story(server):
        device = await machine(server)
        await device.check_in()
        for _ in range(times):
            await device.check_in(keeps=False)
        value = await device.check_in(confirms=False)
        assert await device.check_in() != value
        assert await state(server, device) == "active"

    in_server(mongo_uri, story)


def test_late_repeated_and_foreign_confirmations_change_nothing(mongo_uri):
    async def story(server):
        device = await machine(server)
        first = await device.check_in(confirms=False)
        second = await device.check_in()
        for late in (first, second, b"z" * 16):
            await device.confirm(late)
        await device.check_in()
        assert (await refusal(device.confirm(b""))).code == "invalid-input"
        assert await state(server, device) == "active"

    in_server(mongo_uri, story)


def test_quick_connections_of_one_agent_race_each_other(mongo_uri):
    async def story(server):
        device = await machine(server)
        await device.check_in()
        for milliseconds in range(0, 40, 2):
            # The network changes at any moment; the agent hangs up and comes back another way.
            lost = device.copy()
            words = asyncio.create_task(lost.check_in(keeps=False))
            await asyncio.sleep(milliseconds / 1000)
            words.cancel()
            if lost.call is not None:
                lost.call.cancel()
            await device.check_in(keeps=milliseconds % 4 == 0)
        assert await state(server, device) == "active"
        assert not await clone_issues(server, device)

    in_server(mongo_uri, story)


class Slow(RatchetStore):
    """A database whose answers take their time, each its own."""

    async def get(self, device_id):
        await asyncio.sleep(random.random() / 200)
        return await super().get(device_id)

    async def put(self, device_id, ratchet, former):
        stored = await super().put(device_id, ratchet, former)
        await asyncio.sleep(random.random() / 200)
        return stored


def test_what_the_newest_connection_hears_is_what_counts(mongo_uri):
    """After an outage many connections of one device are answered at once, in any order."""

    async def story(server):
        device = await machine(server)
        name = device.identity.name
        clones = Clones(
            ratchets=Slow(server.database),
            devices=server.stores.devices,
            meta=server.stores.meta,
            blocking=None,
            late_seconds=0.02,
        )
        held = await clones.check_in(name, b"", "")
        await clones.confirm(name, held)
        for _ in range(30):
            heard = await asyncio.gather(
                *(clones.check_in(name, held, "") for _ in range(4)), return_exceptions=True
            )
            assert all(isinstance(one, bytes | Unavailable) for one in heard)
            # The agent hears the last one only, and its confirmation may get lost.
            held = heard[-1]
            if random.random() < 0.5:
                await clones.confirm(name, held)
        assert await clones.check_in(name, held, "")

    in_server(mongo_uri, story)


def test_the_last_words_of_a_dead_connection_are_not_judged(mongo_uri):
    """They came later than the next connection's, and their end follows them."""

    async def story(server):
        device = await machine(server)
        await device.check_in()
        late = device.copy()
        await device.check_in()
        words = asyncio.create_task(late.check_in())
        await asyncio.sleep(0.3)
        words.cancel()
        late.call.cancel()
        await asyncio.sleep(1)
        assert await state(server, device) == "active"
        await device.check_in()

    in_server(mongo_uri, story)


def test_an_old_agent_works_until_it_has_confirmed_once(mongo_uri):
    async def story(server):
        device = await machine(server)
        for _ in range(3):
            device.disk = b""
            await device.check_in(confirms=False)
        await device.check_in()
        device.disk = b""
        assert (await refusal(device.check_in())).code == "blocked"

    in_server(mongo_uri, story)


def test_a_restored_database_is_no_fleet_of_clones(mongo_uri):
    async def story(server):
        device = await machine(server)
        await device.check_in()
        old = await server.stores.ratchets.get(device.identity.name)
        await device.check_in()
        now = await server.stores.ratchets.get(device.identity.name)
        # As a backup would have it: what the device heard last was never handed out.
        assert await server.stores.ratchets.put(device.identity.name, old, now)
        copy = device.copy()
        before = await server.stores.meta.epoch()
        assert await server.stores.meta.begin_epoch() == before + 1
        await device.check_in()
        assert (await refusal(copy.check_in())).code == "blocked"

    in_server(mongo_uri, story)


def test_who_is_unblocked_starts_anew(mongo_uri):
    async def story(server):
        device, copy, _ = await cloned(server)
        alice = server.devices(await server.operator())
        request = device_pb2.UnblockDeviceRequest(device_id=device.identity.name)
        assert (await alice.UnblockDevice(request)).unblocked
        assert not (await alice.UnblockDevice(request)).unblocked
        assert not await clone_issues(server, device)
        await device.check_in()
        assert (await refusal(copy.check_in())).code == "blocked"

    in_server(mongo_uri, story)


def test_a_certificate_that_ended_meanwhile_renews_after_the_unblocking(mongo_uri):
    async def story(server):
        device = await machine(server)
        await server.stores.devices.block(device.identity.name, "alice", "lost", server.clock())
        server.clock.move(days=30)
        assert (await refusal(server.renew(device.identity))).code == "blocked"
        assert await server.stores.devices.unblock(device.identity.name)
        renewed, _ = await server.renew(device.identity)
        facts = certs.parse_certificate(renewed.certificate)
        assert facts.not_after > server.clock() + timedelta(days=10)

    in_server(mongo_uri, story)


def test_the_issue_opens_and_closes_also_if_the_server_died_between(mongo_uri):
    async def story(server):
        device = await machine(server)
        now = server.clock()
        await server.stores.devices.block(device.identity.name, "server", "two", now)
        await server.application.workers["blocked devices"].__self__.reconcile()
        assert await clone_issues(server, device) == ["clone-suspected"]
        await server.stores.devices.unblock(device.identity.name)
        await server.application.workers["blocked devices"].__self__.reconcile()
        assert not await clone_issues(server, device)

    in_server(mongo_uri, story)
