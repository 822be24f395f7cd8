"""What goes over the stream and what it means: messages as the agent's own types.

Trust: the server may be owned by an attacker. What it pushes are hints that the device takes within
its own bounds; an envelope has power only once its signatures are verified.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

from penguindome.envelope import LIMITS, Envelope
from penguindome.times import from_unix_ms, to_unix_ms
from penguindome.v1 import agent_pb2, order_pb2

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from penguin_agent.orders.updates import Piece
    from penguindome.errors import PenguinDomeError
    from penguindome.orders.receipts import SealedReceipt

CAPABILITIES = ("report-1", "ratchet-1", "orders-1")
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
    denied: tuple[str, ...] = ()


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
class OrderPushed:
    """Signed bytes, to be judged."""

    envelope: Envelope


@dataclass(frozen=True, slots=True)
class HungUp:
    """The stream's end: an error, or None when the server ended it in order."""

    error: PenguinDomeError | None


Push = (
    Welcomed
    | OrderPushed
    | CollectWanted
    | SettingsChanged
    | SentAway
    | TrustMoved
    | VerdictsMoved
    | HungUp
)


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


def hello_to_message(hello: Hello) -> agent_pb2.CheckInRequest:
    """Return a check-in as it is sent."""
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
        denied=hello.denied,
    )


def push_from_message(message: Any) -> Push | None:
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


def verdict_from_message(message: Any) -> Verdict:
    """Return a verdict as it came."""
    grace = message.grace_until_unix_ms
    return Verdict(
        check=message.check,
        severity=message.severity,
        opened_time=from_unix_ms(message.opened_unix_ms),
        summary=message.summary,
        remedy=message.remedy,
        grace_until_time=from_unix_ms(grace) if grace else None,
    )


def _ordered(message: Any) -> Push:
    signatures = tuple(message.signatures[: LIMITS.signatures + 1])
    return OrderPushed(Envelope(message.kind, message.payload, signatures))


def updates_to_message(
    receipts: Sequence[SealedReceipt], pieces: Sequence[Piece]
) -> agent_pb2.SubmitOrderUpdatesRequest:
    """Return news of orders as they are sent."""
    return agent_pb2.SubmitOrderUpdatesRequest(
        receipts=[
            order_pb2.OrderReceipt(payload=one.payload, signature=one.signature) for one in receipts
        ],
        outputs=[
            order_pb2.OrderOutput(
                order_id=one.stream.order_id,
                part=one.stream.part,
                stream=one.stream.name,
                offset=one.offset,
                data=one.data,
            )
            for one in pieces
        ],
    )


_MEANINGS: dict[str, Any] = {
    "welcome": _welcomed,
    "envelope": _ordered,
    "collect_now": lambda m: CollectWanted(tuple(m.plugins), m.request_id),
    "settings": lambda m: SettingsChanged(_wishes(m)),
    "go_away": lambda m: SentAway(_span(m.retry_after_seconds), m.reason),
    "trust_changed": lambda m: TrustMoved(m.version),
    "verdicts_changed": lambda _m: VerdictsMoved(),
}
