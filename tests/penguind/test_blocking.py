"""Operators block devices and let them in again, over real TLS."""

import asyncio
import statistics
import time

import grpc
import pytest
from grpc_health.v1 import health_pb2, health_pb2_grpc

from penguindome.error_wire import from_rpc_error
from penguindome.v1 import agent_pb2, device_pb2
from tests.harness.serving import refusal, running

pytestmark = pytest.mark.timeout(60)


def in_server(mongo_uri, story):
    async def run():
        async with asyncio.timeout(50), running(mongo_uri) as server:
            await story(server)

    asyncio.run(run())


async def both(server):
    device, _ = await server.enroll()
    return device, server.devices(await server.operator())


def block(device, reason="lost"):
    return device_pb2.BlockDeviceRequest(device_id=device.name, reason=reason)


async def shown(alice, device):
    answer = await alice.GetDevice(device_pb2.GetDeviceRequest(device=device.name))
    return answer.device


def test_a_blocked_device_is_shown_labelled_unblocked_and_revoked(mongo_uri):
    async def story(server):
        device, alice = await both(server)
        assert (await alice.BlockDevice(block(device))).blocked
        assert not (await alice.BlockDevice(block(device, "again"))).blocked
        found = await shown(alice, device)
        assert (found.state, found.held_by, found.held_reason) == ("blocked", "alice", "lost")
        stored = await server.stores.devices.get(device.name)
        assert stored.blocked_time <= server.clock()
        # What an operator wrote is not for whoever has the laptop.
        error = await refusal(server.agent(device).ListVerdicts(agent_pb2.ListVerdictsRequest()))
        assert (error.code, "lost" in str(error)) == ("blocked", False)
        listed = await alice.ListDevices(device_pb2.ListDevicesRequest())
        assert [one.device_id for one in listed.devices] == [device.name]
        label = device_pb2.LabelDeviceRequest(device_id=device.name, add=["missing"])
        assert list((await alice.LabelDevice(label)).labels) == ["missing"]
        unblock = device_pb2.UnblockDeviceRequest(device_id=device.name, reason="found")
        assert (await alice.UnblockDevice(unblock)).unblocked
        assert (await shown(alice, device)).held_by == ""
        assert (await server.stores.devices.get(device.name)).blocked_time is None
        await server.agent(device).ListVerdicts(agent_pb2.ListVerdictsRequest())
        await alice.BlockDevice(block(device))
        await alice.RevokeDevice(device_pb2.RevokeDeviceRequest(device_id=device.name))
        assert (await shown(alice, device)).state == "revoked"
        for attempt in (alice.BlockDevice(block(device)), alice.UnblockDevice(unblock)):
            assert (await refusal(attempt)).code == "wrong-state"
        rows = await server.stores.ledger.after(0, 999)
        acts = [row.action for row in rows if row.target == device.name]
        assert acts.count("device.block") == 4
        assert acts.count("device.block.failed") == 1
        assert acts.count("device.unblock") == 2

    in_server(mongo_uri, story)


def test_an_unknown_device_cannot_be_blocked(mongo_uri):
    async def story(server):
        _, alice = await both(server)
        request = device_pb2.BlockDeviceRequest(device_id="d-aaaaaaaaaaaaaaaa")
        assert (await refusal(alice.BlockDevice(request))).code == "no-device"
        request = device_pb2.UnblockDeviceRequest(device_id="d-aaaaaaaaaaaaaaaa")
        assert (await refusal(alice.UnblockDevice(request))).code == "no-device"

    in_server(mongo_uri, story)


@pytest.mark.parametrize("act", ["BlockDevice", "RevokeDevice"])
def test_open_calls_end_as_soon_as_the_act_is_done(mongo_uri, act):
    async def story(server):
        device, alice = await both(server)
        stub = server.agent(device)
        calls = [
            stub.CheckIn(agent_pb2.CheckInRequest()),
            health_pb2_grpc.HealthStub(server.channel(device)).Watch(
                health_pb2.HealthCheckRequest()
            ),
        ]
        for call in calls:
            await call.read()
        trips = []
        for _ in range(5):
            started = time.monotonic()
            await shown(alice, device)
            trips.append(time.monotonic() - started)
        request = getattr(device_pb2, f"{act}Request")(device_id=device.name)
        await getattr(alice, act)(request)
        done = time.monotonic()
        for call in calls:
            with pytest.raises(grpc.RpcError) as caught:
                await call.read()
            assert from_rpc_error(caught.value).code == "identity-ended"
        # 50 ms on a machine that answers in 5: no waiting, only the way.
        assert time.monotonic() - done < max(0.05, 10 * statistics.median(trips))

    in_server(mongo_uri, story)


def test_another_server_process_hears_of_a_block_soon(mongo_uri):
    async def story(server):
        device, _ = await both(server)
        call = server.agent(device).CheckIn(agent_pb2.CheckInRequest())
        await call.read()
        # As another process would do it: only the database knows.
        await server.stores.devices.block(device.name, "alice", "lost", server.clock())
        with pytest.raises(grpc.RpcError) as caught:
            async with asyncio.timeout(6):
                await call.read()
        assert from_rpc_error(caught.value).code == "identity-ended"

    in_server(mongo_uri, story)
