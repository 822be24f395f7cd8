"""A computer with a device's identity, whose agent keeps, loses and confirms what we like."""

from __future__ import annotations

import asyncio

import grpc

from penguindome.error_wire import from_rpc_error
from penguindome.times import to_unix_ms
from penguindome.v1 import agent_pb2 as pb


class Machine:
    """A computer with a device's identity, and a disk that keeps the check-in's value."""

    def __init__(self, server, identity, disk=b""):
        self.server, self.identity, self.disk = server, identity, disk
        self.stub = server.agent(identity)
        self.call = None

    def copy(self):
        return Machine(self.server, self.identity, self.disk)

    async def check_in(self, *, keeps=True, confirms=True):
        """Open a stream; return the value of the welcome."""
        self.call = self.stub.CheckIn(
            pb.CheckInRequest(
                hostname="web-1",
                device_time_unix_ms=to_unix_ms(self.server.clock()),
                ratchet=self.disk,
            )
        )
        value = (await self.call.read()).welcome.ratchet
        if keeps:
            self.disk = value
        if keeps and confirms:
            await self.confirm(value)
        return value

    async def confirm(self, value):
        await self.stub.ConfirmCheckIn(pb.ConfirmCheckInRequest(ratchet=value))

    async def ending(self):
        """Return our error's code with which the stream ends."""
        try:
            async with asyncio.timeout(5):
                while await self.call.read() is not grpc.aio.EOF:
                    pass
        except grpc.RpcError as error:
            return from_rpc_error(error).code
        return ""


async def machine(server):
    identity, _ = await server.enroll()
    return Machine(server, identity)
