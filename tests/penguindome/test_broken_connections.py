"""Connections that break while much is written: whoever writes hears that, and nothing worse."""

from __future__ import annotations

import asyncio
import contextlib

import grpc
import grpc.aio

from penguindome.channels import client_options
from penguindome.error_wire import from_rpc_error
from penguindome.errors import Unavailable

ROUNDS = 60


async def echo(requests, context):
    async for message in requests:
        await context.write(message)


class Echo(grpc.GenericRpcHandler):
    """Says everything again."""

    def service(self, _details):
        return grpc.stream_stream_rpc_method_handler(echo)


class Passage:
    """A way to a port that can be broken."""

    def __init__(self, port):
        self._port = port
        self._writers = []

    async def pass_on(self, reader, writer):
        there, into = await asyncio.open_connection("127.0.0.1", self._port)
        self._writers += [writer, into]
        await asyncio.gather(self._copy(reader, into), self._copy(there, writer))

    async def _copy(self, reader, writer):
        with contextlib.suppress(OSError):
            while data := await reader.read(65536):
                writer.write(data)
                await writer.drain()

    def break_all(self):
        for one in self._writers:
            one.transport.abort()
        self._writers.clear()


async def heard(call, passage, moment):
    """Write and read all the time until the connection breaks; return what the reader hears."""

    async def write():
        with contextlib.suppress(grpc.RpcError, asyncio.InvalidStateError):
            while True:
                await call.write(b"x" * 30_000)

    await call.write(b"first")
    assert await call.read() == b"first"
    writing = asyncio.create_task(write())
    asyncio.get_running_loop().call_later(moment, passage.break_all)
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
        passage = Passage(server.add_insecure_port("127.0.0.1:0"))
        await server.start()
        way = await asyncio.start_server(passage.pass_on, "127.0.0.1", 0)
        address = f"127.0.0.1:{way.sockets[0].getsockname()[1]}"
        found = []
        for number in range(ROUNDS):
            async with grpc.aio.insecure_channel(address, options=client_options()) as channel:
                call = channel.stream_stream("/echo/Echo")()
                found.append(await heard(call, passage, 0.003 + 0.001 * (number % 5)))
        way.close()
        await server.stop(None)
        return found

    found = asyncio.run(asyncio.wait_for(work(), 60))
    assert [type(one) for one in found] == [Unavailable] * ROUNDS, set(map(str, found))
