"""Speak to the main listener with this device's certificate.

Trust: the server may be owned by an attacker. What it pushes here are hints that the device takes
within its own bounds; an envelope has power only once its signatures are verified.
"""

from __future__ import annotations

import asyncio
import os
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

os.environ.setdefault("GRPC_ENABLE_FORK_SUPPORT", "0")

import grpc

from penguindome.channels import aio_channel
from penguindome.error_wire import from_rpc_error
from penguindome.errors import Unavailable
from penguindome.report_wire import report_to_message
from penguindome.times import from_unix_ms, to_unix_ms
from penguindome.v1 import agent_pb2, agent_pb2_grpc

if TYPE_CHECKING:
    from collections.abc import Mapping

    from penguin_agent.identity import Identity
    from penguindome.errors import PenguinDomeError
    from penguindome.reports import Report
    from penguindome.trust_document import ServerAddress

SUBMIT_SECONDS = 60.0
CALL_SECONDS = 30.0
CAPABILITIES = ("report-1", "ratchet-1")
QUEUE_LENGTH = 64
SECONDS_LIMIT = 7 * 24 * 3600


@dataclass(frozen=True, slots=True)
class Hello:
    """What a check-in says."""

    boot_id: str
    agent_version: str
    hostname: str
    trust_version: int
    device_time: datetime
    spool_depth: int
    ratchet: bytes
    release: int = 0


@dataclass(frozen=True, slots=True)
class Wishes:
    """The server's wishes for the schedule; None or absent means no wish."""

    collect_interval: timedelta | None
    submit_interval: timedelta | None
    plugin_intervals: Mapping[str, timedelta]


@dataclass(frozen=True, slots=True)
class Welcomed:
    """The first message of a stream."""

    server_time: datetime
    submit_after: timedelta
    wishes: Wishes
    trust_version: int
    ratchet: bytes
    deprecated: bool = False


@dataclass(frozen=True, slots=True)
class CollectWanted:
    """A wish to collect now; no plugins means all."""

    plugins: tuple[str, ...]
    request_id: str


@dataclass(frozen=True, slots=True)
class SettingsChanged:
    """New wishes."""

    wishes: Wishes


@dataclass(frozen=True, slots=True)
class SentAway:
    """A request to hang up and come back."""

    retry_after: timedelta
    reason: str


@dataclass(frozen=True, slots=True)
class TrustMoved:
    """A newer trust document exists."""

    version: int


@dataclass(frozen=True, slots=True)
class VerdictsMoved:
    """Verdicts changed."""


@dataclass(frozen=True, slots=True)
class HungUp:
    """The stream's end: an error, or None when the server ended it in order."""

    error: PenguinDomeError | None


Push = Welcomed | CollectWanted | SettingsChanged | SentAway | TrustMoved | VerdictsMoved | HungUp


@dataclass(frozen=True, slots=True)
class Stored:
    """The server's answer to a report; not stored means that it needs a full one."""

    stored: bool
    state_hash: bytes


@dataclass(frozen=True, slots=True)
class Verdict:
    """One open issue of this device, as the server tells it."""

    check: str
    severity: str
    opened_time: datetime
    summary: str
    remedy: str
    grace_until_time: datetime | None


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

    async def read(self, hello: Hello) -> None:
        """Check in and put everything that comes into `pushes`, HungUp at the end.

        The one reader of the stream: whoever waits with a time-out waits on the queue, since a
        cancelled read would take the stream with it.
        """
        self._call = self._stub.CheckIn(_hello(hello))
        ended = HungUp(None)
        try:
            async for message in self._call:
                if (push := _push(message)) is not None:
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
        verdicts = tuple(_verdict(each) for each in answer.verdicts)
        return verdicts, from_unix_ms(answer.audited_unix_ms)

    async def confirm(self, ratchet: bytes) -> None:
        """Say that the last welcome's value is on the disk."""
        request = agent_pb2.ConfirmCheckInRequest(ratchet=ratchet)
        await self._unary(self._stub.ConfirmCheckIn, request, CALL_SECONDS)

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
        try:
            return await method(request, timeout=seconds)
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


def _hello(hello: Hello) -> agent_pb2.CheckInRequest:
    return agent_pb2.CheckInRequest(
        boot_id=hello.boot_id,
        agent_version=hello.agent_version,
        hostname=hello.hostname,
        trust_version=hello.trust_version,
        device_time_unix_ms=to_unix_ms(hello.device_time),
        spool_depth=hello.spool_depth,
        ratchet=hello.ratchet,
        capabilities=CAPABILITIES,
        release=hello.release,
    )


def _push(message: Any) -> Push | None:
    """Return what a message means; None for a heartbeat and for what this agent does not know."""
    kind = message.WhichOneof("message")
    make = _MEANINGS.get(kind or "")
    return make(getattr(message, kind)) if make is not None else None


def _welcomed(message: Any) -> Push:
    return Welcomed(
        server_time=from_unix_ms(message.server_time_unix_ms),
        submit_after=_span(message.submit_after_seconds),
        wishes=_wishes(message.settings),
        trust_version=message.trust_version,
        ratchet=message.ratchet,
        deprecated=message.deprecated_listener,
    )


def _wishes(message: Any) -> Wishes:
    return Wishes(
        collect_interval=_wish(message.collect_interval_seconds),
        submit_interval=_wish(message.submit_interval_seconds),
        plugin_intervals={
            name: _span(seconds)
            for name, seconds in message.plugin_interval_seconds.items()
            if seconds
        },
    )


def _wish(seconds: int) -> timedelta | None:
    return _span(seconds) if seconds else None


def _span(seconds: int) -> timedelta:
    return timedelta(seconds=min(seconds, SECONDS_LIMIT))


def _verdict(message: Any) -> Verdict:
    grace = message.grace_until_unix_ms
    return Verdict(
        check=message.check,
        severity=message.severity,
        opened_time=from_unix_ms(message.opened_unix_ms),
        summary=message.summary,
        remedy=message.remedy,
        grace_until_time=from_unix_ms(grace) if grace else None,
    )


_MEANINGS: dict[str, Any] = {
    "welcome": _welcomed,
    "collect_now": lambda m: CollectWanted(tuple(m.plugins), m.request_id),
    "settings": lambda m: SettingsChanged(_wishes(m)),
    "go_away": lambda m: SentAway(_span(m.retry_after_seconds), m.reason),
    "trust_changed": lambda m: TrustMoved(m.version),
    "verdicts_changed": lambda _m: VerdictsMoved(),
}
