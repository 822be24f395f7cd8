"""Devices and envelopes between the wire and the domain."""

from __future__ import annotations

from typing import TYPE_CHECKING

from penguind.peers import peer_address
from penguindome.envelope import Envelope
from penguindome.succession import SealedSuccession
from penguindome.times import to_unix_ms
from penguindome.v1 import device_pb2, envelope_pb2, succession_pb2

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime

    from penguind.domain.device import Approval, Device


def device_message(
    device: Device,
    *,
    connected: bool,
    last_report_time: datetime | None,
    open_issues: Sequence[str],
    same_hardware: Sequence[str] = (),
    user_email: str = "",
    with_public_key: bool = False,
) -> device_pb2.Device:
    """Return a device as operators see it."""
    suspended = device.suspended(last_report_time)
    return device_pb2.Device(
        device_id=device.device_id,
        hostname=device.hostname,
        state=device.state,
        connected=connected,
        enrolled_unix_ms=to_unix_ms(device.enrolled_time),
        last_report_unix_ms=unix_ms(last_report_time),
        last_seen_unix_ms=unix_ms(device.last_seen_time),
        agent_version=device.agent_version,
        os_name=device.os_name,
        labels=device.labels,
        open_issues=sorted(open_issues),
        key_fingerprint=device.fingerprint,
        peer_address=_address(device.peer_address),
        approved_by=device.approved_by,
        same_hardware=sorted(same_hardware),
        certificate_expires_unix_ms=unix_ms(device.certificate_expires_time),
        clock_skew_ms=device.clock_skew_ms,
        user_email=user_email,
        suspended=suspended,
        held_by=device.blocked_by or (device.suspended_by if suspended else ""),
        held_reason=device.blocked_reason or (device.suspended_reason if suspended else ""),
        release=device.release,
        denied=device.denied,
        public_key=device.spki if with_public_key else b"",
    )


def _address(peer: str) -> str:
    """Return the address alone, whichever form was recorded."""
    return str(peer_address(peer) or peer)


def envelope_message(envelope: Envelope | Approval) -> envelope_pb2.Envelope:
    """Return an envelope as it travels: its bytes are never made anew."""
    return envelope_pb2.Envelope(
        kind=envelope.kind, payload=envelope.payload, signatures=envelope.signatures
    )


def envelope_from(message: envelope_pb2.Envelope) -> Envelope:
    """Return an envelope as it came; nothing is verified yet."""
    return Envelope(
        kind=message.kind, payload=message.payload, signatures=tuple(message.signatures)
    )


def succession_message(sealed: SealedSuccession) -> succession_pb2.KeySuccession:
    """Return the proof of a key as its device signed it."""
    return succession_pb2.KeySuccession(
        payload=sealed.payload,
        former_signature=sealed.former_signature,
        following_signature=sealed.following_signature,
    )


def succession_from(message: succession_pb2.KeySuccession) -> SealedSuccession:
    """Return the proof of a key as it came; nothing is verified yet."""
    return SealedSuccession(message.payload, message.former_signature, message.following_signature)


def keys_message(device: Device, proofs: Sequence[SealedSuccession]) -> device_pb2.DeviceKeys:
    """Return a device's key, and what leads to it."""
    message = device_pb2.DeviceKeys(
        device_id=device.device_id,
        public_key=device.spki,
        successions=map(succession_message, proofs),
    )
    if device.approval is not None:
        message.approval.CopyFrom(envelope_message(device.approval))
    return message


def trust_message(version: int, envelope: Envelope) -> envelope_pb2.TrustDocument:
    """Return a version of the trust document."""
    return envelope_pb2.TrustDocument(version=version, envelope=envelope_message(envelope))


def unix_ms(time: datetime | None) -> int:
    """Return milliseconds since the Unix epoch, 0 for never."""
    return 0 if time is None else to_unix_ms(time)
