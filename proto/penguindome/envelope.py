"""Make and open envelopes: signed bytes, the only thing that has power over a device.

Opening keeps an order, so that nothing is parsed before it is known to be signed:
1. sizes; 2. each signature alone, over the received bytes; 3. as many distinct primary keys of the
role as its threshold; 4. strict parsing; 5. fleet, kind, target, window, floor.
Trust: an envelope is whatever the server handed over.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING, Any, NoReturn

from penguindome.errors import Forbidden, InvalidInput
from penguindome.framing import frame
from penguindome.gpgv import SIGNATURE_LIMIT_BYTES, verify_detached
from penguindome.ids import is_device_id, is_fleet_id, is_ulid
from penguindome.strict_json import Json, JsonLimits, canonical_json, parse_json
from penguindome.times import from_iso, to_iso

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from datetime import datetime

    from penguindome.trust_document import TrustDocument

# How far the clocks of an operator and a device may differ.
CLOCK_TOLERANCE = timedelta(minutes=5)
_KIND = re.compile(r"[a-z][a-z-]{0,31}")


@dataclass(frozen=True, slots=True)
class EnvelopeLimits:
    """Bound an envelope before anything else looks at it."""

    payload_bytes: int = 256 * 1024
    signature_bytes: int = SIGNATURE_LIMIT_BYTES
    signatures: int = 16
    devices: int = 10_000
    text_bytes: int = 4 * 1024


LIMITS = EnvelopeLimits()
_JSON_LIMITS = JsonLimits(size_bytes=LIMITS.payload_bytes, depth=16)


@dataclass(frozen=True, slots=True)
class Envelope:
    """Hold exact payload bytes and detached signatures on them, one signer each."""

    kind: str
    payload: bytes
    signatures: tuple[bytes, ...] = ()


@dataclass(frozen=True, slots=True)
class Payload:
    """Hold what an envelope says.

    Attributes:
        fleet: The fleet's id.
        id: A ULID; an order with a known one is a replay.
        kind: What it is.
        issued_time: When it was written.
        not_before_time: From when it may be acted on.
        expires_time: Until when.
        devices: The device ids that it is for.
        all_devices: Whether it is for all devices instead.
        reason: Why, in the signer's words.
        by: Who wrote it.
        seq: Grows with each release or policy; None where order does not matter.
        body: What the kind needs.
    """

    fleet: str
    id: str
    kind: str
    issued_time: datetime
    not_before_time: datetime
    expires_time: datetime
    devices: tuple[str, ...]
    all_devices: bool
    reason: str
    by: str
    seq: int | None
    body: dict[str, Json]


def signed_bytes(kind: str, payload: bytes) -> bytes:
    """Return the bytes that signatures are over; the kind is part of them."""
    return frame(kind, payload)


def make_payload(
    *,
    fleet: str,
    kind: str,
    id: str,  # noqa: A002 -- the field's name on the wire
    issued_time: datetime,
    not_before_time: datetime,
    expires_time: datetime,
    devices: Sequence[str] | None,
    reason: str,
    by: str,
    body: Mapping[str, Json],
    seq: int | None = None,
) -> bytes:
    """Return a payload's bytes; `devices` None means all devices. Times lose their fractions."""
    value: dict[str, Json] = {
        "fleet": fleet,
        "kind": kind,
        "id": id,
        "issued_time": to_iso(issued_time),
        "not_before_time": to_iso(not_before_time),
        "expires_time": to_iso(expires_time),
        "targets": {"all": True} if devices is None else {"devices": list(devices)},
        "reason": reason,
        "by": by,
        "body": dict(body),
    }
    if seq is not None:
        value["seq"] = seq
    data = canonical_json(value)
    read_payload(data)
    return data


def signers(envelope: Envelope, trust: TrustDocument, role: str) -> frozenset[str]:
    """Return the primary fingerprints in a role that signed an envelope; others do not count."""
    wanted = frozenset(trust.roles[role].fingerprints) if role in trust.roles else frozenset()
    ring = [trust.keys[fingerprint] for fingerprint in sorted(wanted)]
    data = signed_bytes(envelope.kind, envelope.payload)
    found: set[str] = set()
    for signature in envelope.signatures:
        try:
            found.add(verify_detached(data, signature, ring))
        except Forbidden:
            continue
    return frozenset(found & wanted)


def check_signed(envelope: Envelope, trust: TrustDocument, role: str) -> frozenset[str]:
    """Check sizes, signatures and threshold (steps 1 to 3); return who signed.

    Raises:
        Forbidden: `bad-envelope` or `not-signed`.
    """
    check_sizes(envelope)
    threshold = trust.roles[role].threshold if role in trust.roles else 0
    if threshold < 1:
        _refuse("not-signed", f"nobody has the role {role}")
    found = signers(envelope, trust, role)
    if len(found) < threshold:
        _refuse(
            "not-signed",
            f"{len(found)} of the {threshold} signatures that the role {role} needs are good",
        )
    return found


def check_sizes(envelope: Envelope) -> None:
    """Check an envelope's sizes and kind (step 1).

    Raises:
        Forbidden: `bad-envelope`.
    """
    if not _KIND.fullmatch(envelope.kind):
        _refuse("bad-envelope", "its kind is no word")
    if len(envelope.payload) > LIMITS.payload_bytes:
        _refuse("bad-envelope", f"its payload is larger than {LIMITS.payload_bytes} bytes")
    if len(envelope.signatures) > LIMITS.signatures:
        _refuse("bad-envelope", f"it has more than {LIMITS.signatures} signatures")
    if any(len(signature) > LIMITS.signature_bytes for signature in envelope.signatures):
        _refuse("bad-envelope", f"a signature is larger than {LIMITS.signature_bytes} bytes")


def open_envelope(
    envelope: Envelope,
    *,
    trust: TrustDocument,
    role: str,
    fleet: str,
    device_id: str | None,
    now: datetime,
) -> Payload:
    """Return what an envelope says, if it may say it.

    Replay and sequence are the caller's to check: they need a memory.

    Args:
        envelope: As received.
        trust: The newest trust document.
        role: Whose signatures count.
        fleet: This fleet.
        device_id: This device; None for a reader who is no device.
        now: The time.

    Raises:
        Forbidden: The code names the rule: bad-envelope, not-signed, bad-payload, wrong-fleet,
            wrong-kind, wrong-device, trust-expired, not-yet-valid, expired or voided.
    """
    check_signed(envelope, trust, role)
    try:
        payload = read_payload(envelope.payload)
    except InvalidInput as error:
        _refuse("bad-payload", error.reason)
    if payload.fleet != fleet or trust.fleet != fleet:
        _refuse("wrong-fleet", "it is for another fleet")
    if payload.kind != envelope.kind:
        _refuse("wrong-kind", f"it is marked {envelope.kind} but says {payload.kind}")
    if device_id is not None and not (payload.all_devices or device_id in payload.devices):
        _refuse("wrong-device", "it is for other devices")
    _check_times(payload, trust, now)
    return payload


def read_payload(data: bytes) -> Payload:
    """Parse a payload strictly (step 4); signed or not is not asked here.

    Raises:
        InvalidInput: It is malformed; says how.
    """
    value = parse_json(data, _JSON_LIMITS)
    fields = _Fields(value)
    if fields.value("crit", list, []):
        raise _malformed("it demands an understanding that this version has not")
    devices, all_devices = fields.targets()
    payload = Payload(
        fleet=fields.text("fleet"),
        id=fields.text("id"),
        kind=fields.text("kind"),
        issued_time=from_iso(fields.text("issued_time")),
        not_before_time=from_iso(fields.text("not_before_time")),
        expires_time=from_iso(fields.text("expires_time")),
        devices=devices,
        all_devices=all_devices,
        reason=fields.text("reason"),
        by=fields.text("by"),
        seq=fields.sequence(),
        body=fields.value("body", dict),
    )
    if not (is_fleet_id(payload.fleet) and is_ulid(payload.id)):
        raise _malformed("its fleet or id is none")
    if payload.expires_time <= payload.not_before_time:
        raise _malformed("it ends before it begins")
    return payload


class _Fields:
    """Take checked fields out of a JSON object."""

    def __init__(self, value: Json) -> None:
        if not isinstance(value, dict) or _has_float(value):
            raise _malformed("it is no object, or has fractions in it")
        self._value = value

    def value(self, name: str, kind: type[Any], default: Any = None) -> Any:
        found = self._value.get(name, default)
        if not isinstance(found, kind) or isinstance(found, bool):
            raise _malformed(f"{name} is missing or of the wrong type")
        return found

    def text(self, name: str) -> str:
        text: str = self.value(name, str)
        if len(text.encode()) > LIMITS.text_bytes:
            raise _malformed(f"{name} is too long")
        return text

    def sequence(self) -> int | None:
        if "seq" not in self._value:
            return None
        number: int = self.value("seq", int)
        if number < 1:
            raise _malformed("seq is less than 1")
        return number

    def targets(self) -> tuple[tuple[str, ...], bool]:
        targets = self.value("targets", dict)
        if targets.get("all") is True and len(targets) == 1:
            return (), True
        devices = targets.get("devices")
        if not isinstance(devices, list) or len(targets) != 1:
            raise _malformed("targets names neither devices nor all")
        if not 0 < len(devices) <= LIMITS.devices:
            raise _malformed(f"targets names no device, or more than {LIMITS.devices}")
        if not all(isinstance(device, str) and is_device_id(device) for device in devices):
            raise _malformed("targets names something that is no device")
        return tuple(devices), False


def _has_float(value: Json) -> bool:
    if isinstance(value, dict):
        return any(map(_has_float, value.values()))
    if isinstance(value, list):
        return any(map(_has_float, value))
    return isinstance(value, float)


def _check_times(payload: Payload, trust: TrustDocument, now: datetime) -> None:
    if now >= trust.expires_time:
        _refuse("trust-expired", "the trust document has expired, so nothing is obeyed")
    if now < max(payload.not_before_time, payload.issued_time) - CLOCK_TOLERANCE:
        _refuse("not-yet-valid", "its time has not come, or this clock is behind")
    if now >= payload.expires_time:
        _refuse("expired", "it has expired")
    if payload.issued_time < trust.ticket_floor_time:
        _refuse("voided", "it was voided by a newer trust document")


def _malformed(reason: str) -> InvalidInput:
    return InvalidInput(f"the payload is malformed: {reason}", code="bad-payload")


def _refuse(code: str, reason: str) -> NoReturn:
    raise Forbidden(f"the envelope is refused: {reason}", code=code)
