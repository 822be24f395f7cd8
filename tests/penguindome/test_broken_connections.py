"""Connections that break while much is written: whoever writes hears that, and nothing worse."""

from __future__ import annotations

import asyncio
import contextlib

import grpc
import grpc.aio

from penguindome.channels import client_options
from penguindome.error_wire import from_rpc_error
from penguindome.errors import Unavailable
from tests.harness.holes import ProxyHole

ROUNDS = 60


async def echo(requests, context):
    async for message in requests:
        await context.write(message)


class Echo(grpc.GenericRpcHandler):
    """Says everything again."""

    def service(self, _details):
        return grpc.stream_stream_rpc_method_handler(echo)


async def heard(call, way, moment):
    """Write and read all the time until the connection breaks; return what the reader hears."""

    async def write():
        with contextlib.suppress(grpc.RpcError, asyncio.InvalidStateError):
            while True:
                await call.write(b"x" * 30_000)

    await call.write(b"first")
    assert await call.read() == b"first"
    writing = asyncio.create_task(write())
    asyncio.get_running_loop().call_later(moment, way.cut)
    try:
        while await call.read() is not grpc.aio.EOF:
            pass
    except grpc.RpcError as error:
        return from_rpc_error(error)
    finally:
        await asyncio.wait([writing], timeout=5)
    return None


def test_a_connection_that_breaks_is_lost_whatever_is_under_way():
    async def work():
        server = grpc.aio.server()
        server.add_generic_rpc_handlers((Echo(),))
        port = server.add_insecure_port("127.0.0.1:0")
        await server.start()
        found = []
        with ProxyHole(port) as way:
            address = f"127.0.0.1:{way.port}"
            for number in range(ROUNDS):
                async with grpc.aio.insecure_channel(address, options=client_options()) as channel:
                    call = channel.stream_stream("/echo/Echo")()
                    found.append(await heard(call, way, 0.003 + 0.001 * (number % 5)))
        await server.stop(None)
        return found

    found = asyncio.run(asyncio.wait_for(work(), 60))
    assert [type(one) for one in found] == [Unavailable] * ROUNDS, set(map(str, found))
