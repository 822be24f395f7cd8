"""What a device answers to a shell order: its key of the session, signed with its own key."""

from __future__ import annotations

import base64
import binascii
import hashlib
from dataclasses import dataclass
from typing import TYPE_CHECKING

from penguindome.errors import Forbidden, InvalidInput
from penguindome.framing import frame
from penguindome.orders.fields import Fields
from penguindome.strict_json import JsonLimits, canonical_json, parse_json

if TYPE_CHECKING:
    from collections.abc import Sequence

KEY_BYTES = 32
_LIMITS = JsonLimits(size_bytes=16 * 1024, depth=4, nodes=128)


@dataclass(frozen=True, slots=True)
class Answer:
    """A device's answer.

    Attributes:
        fleet: The fleet's id.
        device_id: The device's.
        order_id: The shell order's.
        order_hash: SHA-256 of the order's payload, hexadecimal.
        session_key: The device's ephemeral X25519 key.
        notes: What the operator should know, e.g. that the device's user was asked.
    """

    fleet: str
    device_id: str
    order_id: str
    order_hash: str
    session_key: bytes
    notes: Sequence[str] = ()


@dataclass(frozen=True, slots=True)
class SealedAnswer:
    """The exact bytes of an answer, and the device key's signature over them."""

    payload: bytes
    signature: bytes


def payload_hash(payload: bytes) -> str:
    """Return what an answer says of the order's payload."""
    return hashlib.sha256(payload).hexdigest()


def seal_answer(answer: Answer, key_pem: bytes) -> SealedAnswer:
    """Return an answer with the device's signature."""
    payload = canonical_json(
        {
            "fleet": answer.fleet,
            "device_id": answer.device_id,
            "order_id": answer.order_id,
            "order_hash": answer.order_hash,
            "session_key": base64.b64encode(answer.session_key).decode(),
            "notes": list(answer.notes),
        }
    )
    from penguindome import keys  # noqa: PLC0415 -- an idle daemon does without that library

    return SealedAnswer(payload, keys.sign(key_pem, frame("shell-answer", payload)))


def open_answer(sealed: SealedAnswer, spki: bytes, expected: Answer) -> Answer:
    """Return a device's answer to a certain order.

    Args:
        sealed: As received.
        spki: The device's public key, DER.
        expected: Fleet, device, order and its hash; the rest does not count.

    Raises:
        Forbidden: `shell-answer`: it is not that device's answer to that order.
    """
    from penguindome import keys  # noqa: PLC0415 -- as above

    if not keys.verify(spki, frame("shell-answer", sealed.payload), sealed.signature):
        raise _refused("it is not signed by the device")
    try:
        answer = _read(sealed.payload)
    except InvalidInput as error:
        raise _refused(error.reason) from None
    said = (answer.fleet, answer.device_id, answer.order_id, answer.order_hash)
    if said != (expected.fleet, expected.device_id, expected.order_id, expected.order_hash):
        raise _refused("it answers another order")
    return answer


def _read(payload: bytes) -> Answer:
    fields = Fields(parse_json(payload, _LIMITS), "the answer", code="shell-answer")
    try:
        key = base64.b64decode(fields.text("session_key", 64), validate=True)
    except (binascii.Error, ValueError):
        fields.refuse("its key is not base64")
    answer = Answer(
        fleet=fields.text("fleet", 64),
        device_id=fields.text("device_id", 64),
        order_id=fields.text("order_id", 26),
        order_hash=fields.text("order_hash", 64),
        session_key=key,
        notes=fields.texts("notes", 16, 512),
    )
    fields.end()
    if len(key) != KEY_BYTES:
        fields.refuse("its key has the wrong size")
    return answer


def _refused(reason: str) -> Forbidden:
    return Forbidden(
        f"the device's answer is refused: {reason}",
        code="shell-answer",
        remedy="Something between you and the device interferes; nothing was typed there",
    )
