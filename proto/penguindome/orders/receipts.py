"""Receipts: what a device says became of an order, signed with the device's own key.

Trust: a receipt is read only after its signature was checked against the key that was recorded at
the device's enrollment; its texts are still the device's.
"""

from __future__ import annotations

import base64
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from penguindome.errors import Forbidden, InvalidInput
from penguindome.framing import frame
from penguindome.ids import is_device_id, is_fleet_id, is_ulid
from penguindome.orders.fields import Fields
from penguindome.strict_json import JsonLimits, canonical_json, parse_json
from penguindome.times import from_unix_ms, to_unix_ms

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import datetime

    from penguindome.strict_json import Json

RECEIPT_LIMIT_BYTES = 64 * 1024
REASON_LIMIT_BYTES = 2 * 1024
FINAL = (
    "succeeded",
    "failed",
    "timed-out",
    "cancelled",
    "expired",
    "refused",
    "interrupted",
)
STATES = ("accepted", "running", *FINAL)
# A refusal for one of these is about a copy of an envelope that carries an order's id, not about
# the order: the server could have spoiled that copy, and hand over a good one afterwards.
ABOUT_A_COPY = frozenset(
    {"bad-envelope", "not-signed", "not-supported", "wrong-kind", "wrong-fleet", "wrong-device"}
)
_LIMITS = JsonLimits(size_bytes=RECEIPT_LIMIT_BYTES, depth=12, nodes=4_000)
# What is left of a receipt's limits for the details.
_DETAILS = JsonLimits(size_bytes=RECEIPT_LIMIT_BYTES // 2, depth=10, nodes=3_500)
_EXIT_CODES = range(256)
_NUMBER = 2**53
_KEY_CHARACTERS = 256


@dataclass(frozen=True, slots=True)
class Receipt:
    """One word of a device about one order.

    Attributes:
        fleet: The fleet's id.
        device_id: Who says it.
        order_id: About which order.
        part: "" for the order itself; `commands/NAME` for a standing script of a release.
        number: Grows with each receipt of the same order and part, from 1.
        state: One of STATES.
        time: By the device's clock.
        reason: Why, for people; may be empty.
        code: Why, for machines, e.g. `not-signed`; may be empty.
        exit_code: Of a program that ended by itself; None otherwise.
        stdout_bytes: How much the device kept of a program's output so far.
        stderr_bytes: The same.
        truncated: Whether there was more than it kept.
        details: What the kind adds, e.g. a wipe's plan.
    """

    fleet: str
    device_id: str
    order_id: str
    state: str
    number: int
    time: datetime
    part: str = ""
    reason: str = ""
    code: str = ""
    exit_code: int | None = None
    stdout_bytes: int = 0
    stderr_bytes: int = 0
    truncated: bool = False
    details: Mapping[str, Any] = field(default_factory=dict)

    @property
    def is_final(self) -> bool:
        """Tell whether nothing follows."""
        return self.state in FINAL


@dataclass(frozen=True, slots=True)
class SealedReceipt:
    """The exact bytes of a receipt, and the device key's signature over them."""

    payload: bytes
    signature: bytes


def seal(receipt: Receipt, key_pem: bytes) -> SealedReceipt:
    """Return a receipt with the device's signature; details that nobody could read are left out."""
    # Late, here and below: a daemon with nothing to say does without the library for keys.
    from penguindome import keys  # noqa: PLC0415 -- see above

    # Devices get new keys with their certificates: a receipt says which one it was signed with.
    key = base64.b64encode(keys.key_spki(key_pem)).decode()
    payload = canonical_json({**_to_json(receipt), "key": key})
    return SealedReceipt(payload, keys.sign(key_pem, frame("receipt", payload)))


def open_receipt(sealed: SealedReceipt, *, spki: bytes, fleet: str, device_id: str) -> Receipt:
    """Return what a device signed.

    Args:
        sealed: As received.
        spki: The device's recorded public key, DER.
        fleet: This fleet.
        device_id: The device that it has to be from.

    Raises:
        Forbidden: `bad-receipt`: it is not that device's, or of another fleet.
        InvalidInput: `bad-receipt`: it is malformed.
    """
    from penguindome import keys  # noqa: PLC0415 -- as in `seal`

    if not keys.verify(spki, frame("receipt", sealed.payload), sealed.signature):
        raise Forbidden("the receipt is not signed by its device", code="bad-receipt")
    receipt = read_receipt(sealed.payload)
    if receipt.fleet != fleet or receipt.device_id != device_id:
        raise Forbidden("the receipt is another device's", code="bad-receipt")
    return receipt


def key_of(sealed: SealedReceipt) -> bytes:
    """Return the public key that a receipt names as its own, DER; nothing vouches for that key.

    Raises:
        InvalidInput: `bad-receipt`: it is malformed.
    """
    value = parse_json(sealed.payload, _LIMITS)
    try:
        return base64.b64decode(value["key"], validate=True)
    except (KeyError, TypeError, ValueError):
        raise InvalidInput("the receipt names no key", code="bad-receipt") from None


def read_receipt(payload: bytes) -> Receipt:
    """Parse a receipt; whether it is signed is not asked here.

    Raises:
        InvalidInput: `bad-receipt`.
    """
    fields = Fields(parse_json(payload, _LIMITS), "the receipt", code="bad-receipt")
    receipt = Receipt(
        fleet=fields.text("fleet", 64),
        device_id=fields.text("device_id", 64),
        order_id=fields.text("order_id", 26),
        part=fields.text("part", 256, ""),
        number=fields.number("number", 1, _NUMBER),
        state=fields.choice("state", STATES),
        time=from_unix_ms(fields.number("time_unix_ms", 0, _NUMBER)),
        reason=fields.text("reason", REASON_LIMIT_BYTES, ""),
        code=fields.text("code", 64, ""),
        exit_code=_exit_code(fields),
        stdout_bytes=fields.number("stdout_bytes", 0, _NUMBER, 0),
        stderr_bytes=fields.number("stderr_bytes", 0, _NUMBER, 0),
        truncated=fields.take("truncated", bool, False),
        details=fields.take("details", dict, {}),
    )
    fields.text("key", _KEY_CHARACTERS, "")
    fields.end()
    if not (
        is_fleet_id(receipt.fleet) and is_device_id(receipt.device_id) and is_ulid(receipt.order_id)
    ):
        raise InvalidInput("the receipt's fleet, device or order is none", code="bad-receipt")
    return receipt


def _exit_code(fields: Fields) -> int | None:
    # -1 stands for none, so that a canonical form has no null.
    code = fields.number("exit_code", -1, 255, -1)
    return None if code < 0 else code


def _to_json(receipt: Receipt) -> dict[str, Json]:
    return {
        "fleet": receipt.fleet,
        "device_id": receipt.device_id,
        "order_id": receipt.order_id,
        "part": receipt.part,
        "number": receipt.number,
        "state": receipt.state,
        "time_unix_ms": to_unix_ms(receipt.time),
        "reason": _cut(receipt.reason, REASON_LIMIT_BYTES),
        "code": receipt.code,
        "exit_code": receipt.exit_code if receipt.exit_code in _EXIT_CODES else -1,
        "stdout_bytes": receipt.stdout_bytes,
        "stderr_bytes": receipt.stderr_bytes,
        "truncated": receipt.truncated,
        "details": _readable(dict(receipt.details)),
    }


def _readable(details: dict[str, Json]) -> dict[str, Json]:
    """Return details, or a word that they cannot be told: a receipt has to arrive all the same."""
    try:
        parse_json(canonical_json(details), _DETAILS)
    except (InvalidInput, TypeError, ValueError):
        return {"left_out": "what the act had to say is too long for a receipt, or no text"}
    return details


def _cut(text: str, limit_bytes: int) -> str:
    # Names of files may hold bytes that are no UTF-8.
    return text.encode("utf-8", "replace")[:limit_bytes].decode("utf-8", "ignore").replace("\0", "")
