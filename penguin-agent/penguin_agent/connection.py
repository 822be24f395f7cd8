"""Speak to the main listener with this device's certificate.

Trust: the server may be owned by an attacker; see `messages`.
"""

from __future__ import annotations

import asyncio
import os
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

os.environ.setdefault("GRPC_ENABLE_FORK_SUPPORT", "0")

import grpc

from penguin_agent.messages import (
    CollectWanted,
    Hello,
    HungUp,
    OrderPushed,
    Push,
    SentAway,
    SettingsChanged,
    Stored,
    TrustMoved,
    Verdict,
    VerdictsMoved,
    Welcomed,
    Wishes,
    hello_to_message,
    push_from_message,
    updates_to_message,
    verdict_from_message,
)
from penguindome.channels import aio_channel
from penguindome.error_wire import from_rpc_error
from penguindome.errors import Unavailable
from penguindome.report_wire import report_to_message
from penguindome.times import from_unix_ms
from penguindome.v1 import agent_pb2, agent_pb2_grpc

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Iterator, Sequence
    from datetime import datetime

    from penguin_agent.identity import Identity
    from penguin_agent.orders.updates import Piece
    from penguindome.orders.receipts import SealedReceipt
    from penguindome.reports import Report
    from penguindome.trust_document import ServerAddress

__all__ = [
    "CollectWanted",
    "Connection",
    "Hello",
    "HungUp",
    "OrderPushed",
    "Push",
    "SentAway",
    "SettingsChanged",
    "Stored",
    "TrustMoved",
    "Verdict",
    "VerdictsMoved",
    "Welcomed",
    "Wishes",
    "channel_errors",
    "is_told_to_end",
]

SUBMIT_SECONDS = 60.0
CALL_SECONDS = 30.0
QUEUE_LENGTH = 64


class Connection:
    """One channel to the main listener; a renewed certificate needs a new one."""

    def __init__(self, identity: Identity, address: ServerAddress, anchors_pem: bytes) -> None:
        self._channel: Any = aio_channel(
            address.host,
            address.main_port,
            anchors_pem=anchors_pem,
            key_pem=identity.key_pem,
            cert_pem=identity.certificate_pem,
        )
        self._stub: Any = agent_pb2_grpc.AgentServiceStub(self._channel)  # type: ignore[no-untyped-call] # generated
        self._call: Any = None
        self.pushes: asyncio.Queue[Push] = asyncio.Queue(QUEUE_LENGTH)

    @property
    def channel(self) -> Any:
        """Return the channel, for services of their own."""
        return self._channel

    async def read(self, hello: Hello) -> None:
        """Check in and put everything that comes into `pushes`, HungUp at the end.

        The one reader of the stream: whoever waits with a time-out waits on the queue, since a
        cancelled read would take the stream with it.
        """
        self._call = self._stub.CheckIn(hello_to_message(hello))
        ended = HungUp(None)
        try:
            async for message in self._call:
                if (push := push_from_message(message)) is not None:
                    await self.pushes.put(push)
        except grpc.RpcError as error:
            ended = HungUp(from_rpc_error(error))
        await self.pushes.put(ended)

    async def submit(self, report: Report) -> Stored:
        """Hand in a report; returns when it is safe on the server."""
        request = report_to_message(report)
        answer = await self._unary(self._stub.SubmitReport, request, SUBMIT_SECONDS)
        return Stored(answer.stored, answer.state_hash)

    async def verdicts(self) -> tuple[tuple[Verdict, ...], datetime]:
        """Return the server's verdicts about this device, and when they were made."""
        request = agent_pb2.ListVerdictsRequest()
        answer = await self._unary(self._stub.ListVerdicts, request, CALL_SECONDS)
        verdicts = tuple(verdict_from_message(each) for each in answer.verdicts)
        return verdicts, from_unix_ms(answer.audited_unix_ms)

    async def confirm(self, ratchet: bytes) -> None:
        """Say that the last welcome's value is on the disk."""
        request = agent_pb2.ConfirmCheckInRequest(ratchet=ratchet)
        await self._unary(self._stub.ConfirmCheckIn, request, CALL_SECONDS)

    async def submit_order_updates(
        self, receipts: Sequence[SealedReceipt], pieces: Sequence[Piece]
    ) -> tuple[str, ...]:
        """Hand in news of orders; returns the orders that the server does not know."""
        request = updates_to_message(receipts, pieces)
        answer = await self._unary(self._stub.SubmitOrderUpdates, request, SUBMIT_SECONDS)
        return tuple(answer.unknown_order_ids)

    async def fetch_blob(
        self, order_id: str, sha256: str, offset: int
    ) -> AsyncGenerator[bytes, None]:
        """Yield a content that an order names, by its hash in hexadecimal, from an offset on."""
        call = self._stub.FetchBlob(
            agent_pb2.FetchBlobRequest(
                order_id=order_id, sha256=bytes.fromhex(sha256), offset=offset
            )
        )
        try:
            with channel_errors():
                async for piece in call:
                    yield piece.data
        finally:
            call.cancel()

    def hang_up(self) -> None:
        """Have the session end; hints that still wait are dropped, the next welcome renews them."""
        while self.pushes.full():
            self.pushes.get_nowait()
        self.pushes.put_nowait(HungUp(None))

    async def close(self) -> None:
        """Hang up."""
        if self._call is not None:
            self._call.cancel()
        await self._channel.close()

    async def _unary(self, method: Any, request: Any, seconds: float) -> Any:
        with channel_errors():
            return await method(request, timeout=seconds)


@contextmanager
def channel_errors() -> Iterator[None]:
    """Turn what a call over a channel fails with into our errors, a closed channel included.

    Raises:
        PenguinDomeError: what the server said, or `channel-closed`.
    """
    try:
        yield
    except grpc.RpcError as error:
        raise from_rpc_error(error) from None
    except grpc.aio.UsageError:
        raise _channel_closed() from None
    except asyncio.CancelledError:
        # A channel that is closed cancels its calls, which looks as if we were told to end.
        if is_told_to_end():
            raise
        raise _channel_closed() from None


def is_told_to_end() -> bool:
    """Tell whether the present task itself was cancelled, not only something that it waits for."""
    task = asyncio.current_task()
    return task is None or task.cancelling() > 0


def _channel_closed() -> Unavailable:
    return Unavailable("the channel was closed meanwhile", code="channel-closed")
