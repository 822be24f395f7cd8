"""The device's leg of a session: a stream to the server, and another one when it is lost."""

from __future__ import annotations

import asyncio
import contextlib
from typing import TYPE_CHECKING, Any

import grpc

from penguin_agent.connection import is_told_to_end
from penguindome.error_wire import from_rpc_error
from penguindome.errors import PenguinDomeError, Unavailable
from penguindome.shell.endpoint import Mark
from penguindome.shell.pulse import SILENT, Pulse
from penguindome.v1 import shell_pb2 as pb
from penguindome.v1 import shell_pb2_grpc

if TYPE_CHECKING:
    from collections.abc import Callable

    from penguindome.shell.answer import SealedAnswer
    from penguindome.shell.endpoint import Endpoint

REASON_LIMIT = 200


class Leg:
    """One session's way to the server.

    Args:
        order_id: the shell order's.
        answer: what was answered to it.
        endpoint: this end of the session.
        received: is given each sealed frame.
        end: ends the session, with a reason and its code.
    """

    def __init__(
        self,
        order_id: str,
        answer: SealedAnswer,
        endpoint: Endpoint,
        received: Callable[[bytes], None],
        end: Callable[[str, str], None],
    ) -> None:
        self._order_id = order_id
        self._answer = answer
        self._endpoint = endpoint
        self._received = received
        self._end = end

    async def run(self, channel: Any) -> None:
        """Use a channel until the stream over it ends, in whatever way.

        Raises:
            PenguinDomeError: why it ended, unless it ended in order.
        """
        stub: Any = shell_pb2_grpc.ShellServiceStub(channel)  # type: ignore[no-untyped-call] # generated
        call = stub.Serve()
        why: PenguinDomeError | None = None
        try:
            async with asyncio.TaskGroup() as group:
                try:
                    await self._read(call, group)
                except grpc.RpcError as error:
                    why = from_rpc_error(error)
                except asyncio.CancelledError:
                    # A channel that is closed cancels its calls, which looks as if we were told to.
                    if is_told_to_end():
                        raise
                    why = Unavailable("the channel was closed meanwhile", code="channel-closed")
        except* Unavailable as silent:
            why = Unavailable(str(silent.exceptions[0]), code=SILENT)
        finally:
            self._endpoint.lost()
            call.cancel()
        if why is not None:
            raise why

    async def _read(self, call: Any, group: asyncio.TaskGroup) -> None:
        await call.write(pb.ServeRequest(start=self._start()))
        pulse = Pulse(self._endpoint.beat)
        beside = [group.create_task(one) for one in (self._write(call), pulse.run())]
        try:
            async for message in call:
                pulse.heard()
                self._take(message)
        finally:
            for one in beside:
                one.cancel()

    def _start(self) -> pb.ServeStart:
        answer = pb.DeviceAnswer(
            payload=self._answer.payload,
            signature=self._answer.signature,
            acknowledged=self._endpoint.received,
        )
        return pb.ServeStart(order_id=self._order_id, answer=answer)

    def _take(self, message: pb.ServeResponse) -> None:
        kind = message.WhichOneof("message")
        if kind == "frame":
            self._received(message.frame)
        elif kind in ("acknowledged", "here"):
            try:
                if kind == "here":
                    self._endpoint.joined(message.here.acknowledged)
                else:
                    self._endpoint.acknowledged(message.acknowledged)
            except PenguinDomeError as error:
                self._end(error.reason, error.code)
        elif kind == "lost":
            self._endpoint.parted()
        elif kind == "end":
            self._end(message.end.reason[:REASON_LIMIT], "killed")

    async def _write(self, call: Any) -> None:
        """Write until the stream ends, which whoever reads it hears as well."""
        with contextlib.suppress(grpc.RpcError, grpc.aio.UsageError, asyncio.InvalidStateError):
            await self._endpoint.write_with(lambda what: call.write(_request(what)))


def _request(what: bytes | int | Mark) -> pb.ServeRequest:
    if isinstance(what, bytes):
        return pb.ServeRequest(frame=what)
    if what is Mark.SYNCED:
        return pb.ServeRequest(synced=pb.Synced())
    if what is Mark.ALIVE:
        return pb.ServeRequest(alive=pb.Alive())
    return pb.ServeRequest(acknowledged=what)
