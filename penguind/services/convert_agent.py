"""Agents' messages between the wire and the server."""

from __future__ import annotations

from typing import TYPE_CHECKING

from penguind.checkin import LARGEST_RELEASE, Greeting, Hello
from penguind.orders.delivery import Here
from penguind.presence import (
    AgentSettings,
    CollectNow,
    GoAway,
    Message,
    Order,
    TrustChanged,
    VerdictsChanged,
)
from penguind.services.convert_device import envelope_message, unix_ms
from penguindome.names import clean_hostname
from penguindome.times import from_unix_ms, to_unix_ms
from penguindome.v1 import agent_pb2 as pb

if TYPE_CHECKING:
    from penguind.verdicts import DeviceVerdict, DeviceVerdicts

HEARTBEAT = pb.CheckInResponse(heartbeat=pb.Heartbeat())


def hello_from(request: pb.CheckInRequest) -> Hello:
    """Return what a device says when it comes.

    Raises:
        InvalidInput: its clock is beyond all calendars.
    """
    return Hello(
        hostname=request.hostname,
        agent_version=request.agent_version,
        device_time=from_unix_ms(request.device_time_unix_ms),
        spool_depth=request.spool_depth,
        ratchet=request.ratchet,
        release=request.release,
        denied=tuple(request.denied),
    )


def here_from(hello: Hello) -> Here:
    """Return what the delivery of orders needs to know of a device that came."""
    hostname = clean_hostname(hello.hostname)
    return Here(hostname, min(hello.release, LARGEST_RELEASE), frozenset(hello.denied))


def welcome_message(greeting: Greeting) -> pb.CheckInResponse:
    """Return the first message of a stream."""
    return pb.CheckInResponse(
        welcome=pb.Welcome(
            server_time_unix_ms=to_unix_ms(greeting.server_time),
            state_hash=greeting.state_hash,
            submit_after_seconds=greeting.submit_after_seconds,
            settings=_settings(greeting.settings),
            trust_version=greeting.trust_version,
            ratchet=greeting.ratchet,
            deprecated_listener=greeting.deprecated_listener,
        )
    )


def stream_message(message: Message) -> pb.CheckInResponse:
    """Return a later message of a stream."""
    match message:
        case CollectNow():
            wish = pb.CollectNow(plugins=message.plugins, request_id=message.request_id)
            return pb.CheckInResponse(collect_now=wish)
        case AgentSettings():
            return pb.CheckInResponse(settings=_settings(message))
        case GoAway():
            last = pb.GoAway(retry_after_seconds=message.retry_after_seconds, reason=message.reason)
            return pb.CheckInResponse(go_away=last)
        case TrustChanged():
            return pb.CheckInResponse(trust_changed=pb.TrustChanged(version=message.version))
        case VerdictsChanged():
            return pb.CheckInResponse(verdicts_changed=pb.VerdictsChanged())
        case Order():
            return pb.CheckInResponse(envelope=envelope_message(message.envelope))


def verdicts_message(verdicts: DeviceVerdicts) -> pb.ListVerdictsResponse:
    """Return a device's verdicts."""
    return pb.ListVerdictsResponse(
        verdicts=[_verdict(verdict) for verdict in verdicts.verdicts],
        audited_unix_ms=unix_ms(verdicts.audited_time),
    )


def _verdict(verdict: DeviceVerdict) -> pb.DeviceVerdict:
    return pb.DeviceVerdict(
        check=verdict.check,
        severity=str(verdict.severity),
        opened_unix_ms=to_unix_ms(verdict.opened_time),
        summary=verdict.summary,
        remedy=verdict.remedy,
        grace_until_unix_ms=unix_ms(verdict.grace_until_time),
    )


def _settings(settings: AgentSettings) -> pb.AgentSettings:
    return pb.AgentSettings(
        version=settings.version,
        collect_interval_seconds=settings.collect_interval_seconds,
        submit_interval_seconds=settings.submit_interval_seconds,
        plugin_interval_seconds=dict(settings.plugin_interval_seconds),
    )
