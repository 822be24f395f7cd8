"""Write and read what envelopes carry: strict JSON that says what, for whom, when and why.

Trust: `read_payload` is given bytes only after their signatures were counted, but trusts none of
their contents.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from penguindome.errors import InvalidInput
from penguindome.ids import is_device_id, is_fleet_id, is_ulid
from penguindome.strict_json import Json, JsonLimits, canonical_json, parse_json
from penguindome.times import from_iso, to_iso

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from datetime import datetime

PAYLOAD_LIMIT_BYTES = 256 * 1024
DEVICE_LIMIT = 10_000
TEXT_LIMIT_BYTES = 4 * 1024
_JSON_LIMITS = JsonLimits(size_bytes=PAYLOAD_LIMIT_BYTES, depth=16)


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
    """Return a payload's bytes; `devices` None means all devices. Times lose their fractions.

    Raises:
        InvalidInput: No reader would take it; says why.
    """
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
    try:
        data = canonical_json(value)
    except ValueError:
        # Words of a command line may hold bytes that are no UTF-8.
        raise _malformed("it holds a text that is no UTF-8, or a number that is none") from None
    read_payload(data)
    return data


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
        if len(text.encode()) > TEXT_LIMIT_BYTES:
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
        if not 0 < len(devices) <= DEVICE_LIMIT:
            raise _malformed(f"targets names no device, or more than {DEVICE_LIMIT}")
        if not all(isinstance(device, str) and is_device_id(device) for device in devices):
            raise _malformed("targets names something that is no device")
        return tuple(devices), False


def _has_float(value: Json) -> bool:
    if isinstance(value, dict):
        return any(map(_has_float, value.values()))
    if isinstance(value, list):
        return any(map(_has_float, value))
    return isinstance(value, float)


def _malformed(reason: str) -> InvalidInput:
    return InvalidInput(f"the payload is malformed: {reason}", code="bad-payload")
