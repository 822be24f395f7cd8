"""The operator's leg of a session: a stream to the server, and another one when it is lost."""

from __future__ import annotations

import asyncio
import contextlib
from typing import TYPE_CHECKING, Any, Protocol

from penguindome.error_wire import from_rpc_error
from penguindome.errors import PenguinDomeError, Unavailable
from penguindome.shell.endpoint import Endpoint, Mark
from penguindome.shell.pulse import SILENT, Pulse
from penguindome.v1 import shell_pb2 as pb
from penguindome.v1 import shell_pb2_grpc

if TYPE_CHECKING:
    from collections.abc import Callable

    from penguindome.shell.answer import SealedAnswer

RETRY_SECONDS = 0.5


class Owner(Protocol):
    """Whoever has the session."""

    def answered(self, answer: SealedAnswer) -> Endpoint:
        """Return this end of the session that the device answered for; raises if it may not be."""

    def received(self, sealed: bytes) -> None:
        """Take a frame."""

    def news(self, state: str, reason: str) -> None:
        """Hear what the session waits for."""


class Leg:
    """One session's way to the server.

    Args:
        order_id: the shell order's.
        owner: has the session.
        channel: returns a new channel to the server; a lost one is closed and not used again.
    """

    def __init__(self, order_id: str, owner: Owner, channel: Callable[[], Any]) -> None:
        self._order_id = order_id
        self._owner = owner
        self._channel = channel
        self._endpoint: Endpoint | None = None
        self._is_left = False

    async def run(self) -> None:
        """Hold a stream, and another one after each loss, until left, cancelled or refused.

        Raises:
            PenguinDomeError: The server refuses the session.
        """
        while not self._is_left:
            channel = self._channel()
            try:
                await self._once(channel)
            except Unavailable:
                self._owner.news("waiting-link", "the server cannot be reached")
            finally:
                await channel.close()
            if not self._is_left:
                await asyncio.sleep(RETRY_SECONDS)

    def leave(self) -> None:
        """Have the stream end in order, once the server has read everything that we sent."""
        self._is_left = True
        if self._endpoint is not None:
            self._endpoint.close()

    async def _once(self, channel: Any) -> None:
        import grpc  # noqa: PLC0415 -- --help stays quick

        stub: Any = shell_pb2_grpc.ShellServiceStub(channel)  # type: ignore[no-untyped-call] # generated
        call = stub.Attach()
        why: PenguinDomeError | None = None
        try:
            async with asyncio.TaskGroup() as group:
                try:
                    await self._read(call, group)
                except grpc.RpcError as error:
                    why = from_rpc_error(error)
                except PenguinDomeError as error:
                    why = error
        except* Unavailable as silent:
            why = Unavailable(str(silent.exceptions[0]), code=SILENT)
        finally:
            if self._endpoint is not None:
                self._endpoint.lost()
            call.cancel()
        if why is not None:
            raise why

    async def _read(self, call: Any, group: asyncio.TaskGroup) -> None:
        held = 0 if self._endpoint is None else self._endpoint.received
        start = pb.AttachStart(order_id=self._order_id, acknowledged=held)
        await call.write(pb.AttachRequest(start=start))
        pulse: Pulse | None = None
        beside: list[asyncio.Task[None]] = []
        try:
            async for message in call:
                self._take(message)
                if pulse is None and self._endpoint is not None:
                    pulse = Pulse(self._endpoint.beat)
                    works = (_write(call, self._endpoint), pulse.run())
                    beside = [group.create_task(one) for one in works]
                if pulse is not None:
                    pulse.heard()
        finally:
            for one in beside:
                one.cancel()

    def _take(self, message: pb.AttachResponse) -> None:
        kind = message.WhichOneof("message")
        if kind == "frame":
            self._owner.received(message.frame)
        elif kind == "acknowledged" and self._endpoint is not None:
            self._endpoint.acknowledged(message.acknowledged)
        elif kind == "state":
            self._owner.news(message.state.state, message.state.reason)
        elif kind == "answer":
            from penguindome.shell.answer import SealedAnswer  # noqa: PLC0415 -- as above

            answer = message.answer
            self._endpoint = self._owner.answered(SealedAnswer(answer.payload, answer.signature))
            self._endpoint.joined(answer.acknowledged)


async def _write(call: Any, endpoint: Endpoint) -> None:
    """Write until the stream ends, which whoever reads it hears as well."""
    import grpc  # noqa: PLC0415 -- --help stays quick

    with contextlib.suppress(grpc.RpcError, grpc.aio.UsageError, asyncio.InvalidStateError):
        await endpoint.write_with(lambda what: call.write(_request(what)))
        await call.done_writing()


def _request(what: bytes | int | Mark) -> pb.AttachRequest:
    if isinstance(what, bytes):
        return pb.AttachRequest(frame=what)
    if what is Mark.SYNCED:
        return pb.AttachRequest(synced=pb.Synced())
    if what is Mark.ALIVE:
        return pb.AttachRequest(alive=pb.Alive())
    return pb.AttachRequest(acknowledged=what)
