"""ShellService: joins operators with devices, takes recordings in and hands them out."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from penguind.caller import caller, identity_ended
from penguind.services.convert_device import envelope_message, keys_message
from penguind.services.convert_shell import (
    from_leg,
    piece_from,
    piece_message,
    session_message,
    to_device,
    to_operator,
)
from penguind.shells.holding import hold
from penguind.shells.live import Alive, Answered
from penguindome.errors import InvalidInput
from penguindome.shell.frames import FRAME_LIMIT_BYTES
from penguindome.v1 import shell_pb2 as pb
from penguindome.v1.shell_pb2_grpc import ShellServiceServicer

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable

    from penguind.identity.key_history import KeyHistory
    from penguind.shells.desk import ShellDesk
    from penguind.shells.live import Acknowledged, Frame, Message, Outlet
    from penguind.shells.looking import SessionLooking
    from penguind.shells.recordings import Recordings
    from penguind.store.devices import DeviceStore

_ANSWER_LIMIT_BYTES = 64 * 1024


class ShellService(ShellServiceServicer):
    """Serves both ends; who calls is what the certificate says."""

    def __init__(
        self,
        *,
        desk: ShellDesk,
        recordings: Recordings,
        looking: SessionLooking,
        devices: DeviceStore,
        history: KeyHistory,
    ) -> None:
        self._desk = desk
        self._recordings = recordings
        self._looking = looking
        self._devices = devices
        self._history = history

    async def Attach(  # noqa: N802 -- gRPC's
        self, requests: AsyncIterator[pb.AttachRequest], context: Any
    ) -> None:
        """Hold an operator's leg until it, its operator or its session ends."""
        who = caller()
        first = await anext(requests, None)
        if first is None or not first.HasField("start"):
            raise InvalidInput("the first message does not say which session", code="bad-leg")
        session = await self._desk.of_operator(first.start.order_id, who.name)
        leg = session.join_operator(first.start.acknowledged)
        try:
            await hold(
                _read(requests, leg, lambda message: session.from_operator(leg, message)),
                _write(context, leg, to_operator),
                who.ended.wait(),
                beside=self._desk.ending(session),
            )
        finally:
            session.leave(leg, self._desk.now())
            if who.ended.is_set():
                self._desk.end_of_operator(who.name, f"{who.name} may not go on")
        if who.ended.is_set():
            raise identity_ended()

    async def Serve(  # noqa: N802 -- gRPC's
        self, requests: AsyncIterator[pb.ServeRequest], context: Any
    ) -> None:
        """Hold a device's leg until it, its device or its session ends."""
        who = caller()
        first = await anext(requests, None)
        if first is None or not first.HasField("start"):
            raise InvalidInput("the first message does not say which session", code="bad-leg")
        answer = first.start.answer
        if len(answer.payload) > _ANSWER_LIMIT_BYTES:
            raise InvalidInput("the answer is too large", code="bad-leg")
        session = await self._desk.of_device(first.start.order_id, who.name)
        leg = session.join_device(Answered(answer.payload, answer.signature, answer.acknowledged))
        try:
            await hold(
                _read(requests, leg, lambda message: session.from_device(leg, message)),
                _write(context, leg, to_device),
                who.ended.wait(),
            )
        finally:
            session.leave(leg, self._desk.now())
        if who.ended.is_set():
            raise identity_ended()

    async def SubmitTranscript(  # noqa: N802 -- gRPC's
        self,
        request: pb.SubmitTranscriptRequest,
        context: Any,  # noqa: ARG002
    ) -> pb.SubmitTranscriptResponse:
        """Store a piece of a recording."""
        piece = request.piece
        known = await self._recordings.take(
            caller().name, request.order_id, piece.number, piece_from(piece)
        )
        return pb.SubmitTranscriptResponse(unknown=not known)

    async def EndSession(  # noqa: N802 -- gRPC's
        self,
        request: pb.EndSessionRequest,
        context: Any,  # noqa: ARG002
    ) -> pb.EndSessionResponse:
        """End a session."""
        facts = await self._looking.one(request.order_id)
        reason = f"ended by {caller().name}" + (f": {request.reason}" if request.reason else "")
        await self._desk.end(facts.order.order_id, reason)
        return pb.EndSessionResponse()

    async def ListSessions(  # noqa: N802 -- gRPC's
        self,
        request: pb.ListSessionsRequest,
        context: Any,  # noqa: ARG002
    ) -> pb.ListSessionsResponse:
        """Return sessions, the newest first."""
        found = await self._looking.newest(
            request.limit,
            device=request.device,
            operator=request.operator,
            only_open=request.only_open,
        )
        return pb.ListSessionsResponse(sessions=map(session_message, found))

    async def GetSession(  # noqa: N802 -- gRPC's
        self,
        request: pb.GetSessionRequest,
        context: Any,  # noqa: ARG002
    ) -> pb.GetSessionResponse:
        """Return one session."""
        facts = await self._looking.one(request.order_id)
        device = await self._devices.get(facts.target.device_id)
        response = pb.GetSessionResponse(
            session=session_message(facts), order=envelope_message(facts.order.envelope)
        )
        if device is not None:
            keys = keys_message(device, await self._history.leading_to(device))
            response.device_key = keys.public_key
            response.successions.extend(keys.successions)
            if keys.HasField("approval"):
                response.approval.CopyFrom(keys.approval)
        return response

    async def ReadTranscript(  # noqa: N802 -- gRPC's
        self,
        request: pb.ReadTranscriptRequest,
        context: Any,  # noqa: ARG002
    ) -> AsyncIterator[pb.ReadTranscriptResponse]:
        """Return a recording."""
        who = caller()
        facts = await self._looking.one(request.order_id)
        order_id, device_id = facts.order.order_id, facts.target.device_id
        live = self._desk.live(order_id) if request.follow else None
        if live is not None:
            live.watch(who.name)
        try:
            async for number, piece in self._recordings.read(
                order_id, device_id, request.from_piece, follow=request.follow
            ):
                yield pb.ReadTranscriptResponse(piece=piece_message(number, piece))
        finally:
            if live is not None:
                live.unwatch(who.name)


async def _read(
    requests: AsyncIterator[Any],
    leg: Outlet,
    take: Callable[[Frame | Acknowledged | None], None],
) -> None:
    async for message in requests:
        if (len(message.frame) or message.ByteSize()) > FRAME_LIMIT_BYTES:
            raise InvalidInput("a frame is too large", code="bad-frame")
        heard = from_leg(message)
        if isinstance(heard, Alive):
            leg.asked()
        else:
            take(heard)


async def _write(context: Any, leg: Outlet, convert: Callable[[Message], Any]) -> None:
    async def write(message: Message) -> None:
        if (converted := convert(message)) is not None:
            await context.write(converted)

    await leg.write_with(write)
