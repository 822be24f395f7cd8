"""AgentService: what devices say to the server, and hear from it."""

from __future__ import annotations

import asyncio
from contextlib import aclosing
from typing import TYPE_CHECKING, Any, Protocol

from penguind.caller import caller, identity_ended
from penguind.peers import peer_address
from penguind.presence import Ended, GoAway
from penguind.services.convert_agent import (
    HEARTBEAT,
    hello_from,
    here_from,
    stream_message,
    verdicts_message,
    welcome_message,
)
from penguind.services.convert_order import piece_from, receipt_from
from penguindome.report_wire import report_from_message
from penguindome.v1 import agent_pb2 as pb
from penguindome.v1.agent_pb2_grpc import AgentServiceServicer

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable
    from datetime import datetime

    from penguind.checkin import CheckIns
    from penguind.ingest import Ingest
    from penguind.orders.delivery import Delivery
    from penguind.orders.updates import Updates
    from penguind.presence import Stream
    from penguind.releases.contents import Contents
    from penguind.verdicts import DeviceVerdicts

HEARTBEAT_SECONDS = 30.0


class Verdicts(Protocol):
    """Where a device's verdicts come from."""

    async def of_device(self, device_id: str, now: datetime) -> DeviceVerdicts:
        """Return the verdicts about one device."""


class Quota(Protocol):
    """How much a device may hand in."""

    def take(self, device_id: str, size_bytes: int, now: datetime) -> None:
        """Count a report, or raise LimitExceeded."""


class AgentService(AgentServiceServicer):
    """Serves devices; who calls is what the certificate says."""

    def __init__(
        self,
        *,
        check_ins: CheckIns,
        ingest: Ingest,
        rates: Quota,
        verdicts: Verdicts,
        delivery: Delivery,
        updates: Updates,
        contents: Contents,
        clock: Callable[[], datetime],
        heartbeat_seconds: float = HEARTBEAT_SECONDS,
    ) -> None:
        self._check_ins = check_ins
        self._ingest = ingest
        self._rates = rates
        self._verdicts = verdicts
        self._delivery = delivery
        self._updates = updates
        self._contents = contents
        self._clock = clock
        self._heartbeat_seconds = heartbeat_seconds

    async def CheckIn(self, request: pb.CheckInRequest, context: Any) -> None:  # noqa: N802 -- gRPC's
        """Hold a device's stream until it, or its identity, ends."""
        who = caller()
        hello = hello_from(request)
        address = str(peer_address(who.peer) or "")
        ratchet = await self._check_ins.admit(who.name, hello, address)
        # The stream is there before the welcome, so that nothing is lost between the two.
        with self._check_ins.stream(who.name, who.ended, who.listener) as stream:
            greeting = await self._check_ins.greet(stream, hello, address, ratchet)
            await context.write(welcome_message(greeting))
            self._delivery.come(who.name, here_from(hello))
            await self._send(stream, context)

    async def SubmitReport(  # noqa: N802 -- gRPC's
        self,
        request: pb.SubmitReportRequest,
        context: Any,  # noqa: ARG002
    ) -> pb.SubmitReportResponse:
        """Store a report."""
        device_id = caller().name
        now = self._clock()
        self._rates.take(device_id, request.ByteSize(), now)
        report = report_from_message(request)
        hostname = await self._check_ins.hostname(device_id)
        stored = await self._ingest.submit(device_id, hostname, report, now)
        return pb.SubmitReportResponse(stored=stored.stored, state_hash=stored.state_hash)

    async def ListVerdicts(  # noqa: N802 -- gRPC's
        self,
        request: pb.ListVerdictsRequest,  # noqa: ARG002
        context: Any,  # noqa: ARG002
    ) -> pb.ListVerdictsResponse:
        """Tell a device what is found about it."""
        return verdicts_message(await self._verdicts.of_device(caller().name, self._clock()))

    async def ConfirmCheckIn(  # noqa: N802 -- gRPC's
        self,
        request: pb.ConfirmCheckInRequest,
        context: Any,  # noqa: ARG002
    ) -> pb.ConfirmCheckInResponse:
        """Hear that the last welcome's ratchet is on the device's disk."""
        await self._check_ins.confirm(caller().name, request.ratchet)
        return pb.ConfirmCheckInResponse()

    async def SubmitOrderUpdates(  # noqa: N802 -- gRPC's
        self,
        request: pb.SubmitOrderUpdatesRequest,
        context: Any,  # noqa: ARG002
    ) -> pb.SubmitOrderUpdatesResponse:
        """Store receipts and output."""
        device_id = caller().name
        unknown = await self._updates.submit(
            device_id,
            [receipt_from(one) for one in request.receipts],
            [piece_from(device_id, one) for one in request.outputs],
            request.ByteSize(),
        )
        return pb.SubmitOrderUpdatesResponse(unknown_order_ids=unknown)

    async def FetchBlob(  # noqa: N802 -- gRPC's
        self,
        request: pb.FetchBlobRequest,
        context: Any,  # noqa: ARG002
    ) -> AsyncIterator[pb.FetchBlobResponse]:
        """Hand a content of an order to its device."""
        fetched = self._contents.fetch(
            caller().name, request.order_id, request.sha256, request.offset
        )
        async with aclosing(fetched) as pieces:
            async for data in pieces:
                yield pb.FetchBlobResponse(data=data)

    async def _send(self, stream: Stream, context: Any) -> None:
        """Pass on what comes until the last message.

        Raises:
            Unauthenticated: the device's identity ended.
        """
        while True:
            message = stream.take()
            if isinstance(message, Ended):
                raise identity_ended()
            if message is not None:
                await context.write(stream_message(message))
            elif not await self._woken(stream):
                await context.write(HEARTBEAT)
            if isinstance(message, GoAway):
                return

    async def _woken(self, stream: Stream) -> bool:
        """Wait for something to send; False when it is time for a sign of life."""
        try:
            async with asyncio.timeout(self._heartbeat_seconds):
                await stream.wake.wait()
        except TimeoutError:
            return False
        return True
