"""Streams of gRPC's own services end with their caller's identity, like ours."""

from __future__ import annotations

import asyncio
import contextlib

import grpc
from grpc_health.v1 import health_pb2, health_pb2_grpc
from grpc_reflection.v1alpha import reflection_pb2, reflection_pb2_grpc

from penguindome.error_wire import from_rpc_error
from penguindome.v1 import device_pb2
from tests.harness.serving import refusal, running


def in_server(mongo_uri, story):
    async def run():
        async with asyncio.timeout(60), running(mongo_uri) as server:
            await story(server)

    asyncio.run(run())


async def revoke(server, device):
    alice = server.devices(await server.operator())
    await alice.RevokeDevice(device_pb2.RevokeDeviceRequest(device_id=device.name))


async def ending(call):
    """Return our error's code with which a stream ends."""
    try:
        async with asyncio.timeout(5):
            await call.read()
            code = await call.code()
    except grpc.RpcError as error:
        return from_rpc_error(error).code
    return str(code)


def test_a_watch_on_the_servers_health_ends(mongo_uri):
    async def story(server):
        device, _ = await server.enroll()
        stub = health_pb2_grpc.HealthStub(server.channel(device))
        call = stub.Watch(health_pb2.HealthCheckRequest())
        assert (await call.read()).status == health_pb2.HealthCheckResponse.SERVING
        await revoke(server, device)
        assert await ending(call) == "identity-ended"
        assert (await refusal(stub.Check(health_pb2.HealthCheckRequest()))).code == "revoked"

    in_server(mongo_uri, story)


def test_reflection_answers_no_more(mongo_uri):
    async def story(server):
        device, _ = await server.enroll()
        stub = reflection_pb2_grpc.ServerReflectionStub(server.channel(device))
        call = stub.ServerReflectionInfo()
        question = reflection_pb2.ServerReflectionRequest(list_services="")
        await call.write(question)
        assert (await call.read()).list_services_response.service
        await revoke(server, device)
        # It may be over already.
        with contextlib.suppress(grpc.RpcError, asyncio.InvalidStateError):
            await call.write(question)
        assert await ending(call) == "identity-ended"

    in_server(mongo_uri, story)
