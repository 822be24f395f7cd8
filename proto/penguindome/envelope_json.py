"""The JSON form in which programs keep envelopes that they verified.

Trust: the file was written by ourselves; whatever differs from that form was changed by another.
"""

from __future__ import annotations

import base64
import json
from typing import Any

from penguindome.envelope import Envelope
from penguindome.errors import InvalidInput

_KEYS = {"kind", "payload", "signatures"}


def to_json(envelope: Envelope) -> bytes:
    """Return an envelope as a file holds it."""
    value = {
        "kind": envelope.kind,
        "payload": base64.b64encode(envelope.payload).decode(),
        "signatures": [base64.b64encode(each).decode() for each in envelope.signatures],
    }
    return json.dumps(value, indent=2).encode()


def from_json(data: bytes) -> Envelope:
    """Return the envelope that a file holds.

    Raises:
        InvalidInput: It is not what `to_json` writes.
    """
    try:
        value = json.loads(data)
    except (ValueError, RecursionError):
        raise _refused("it is not JSON") from None
    if not isinstance(value, dict) or set(value) != _KEYS:
        raise _refused("it has not the keys kind, payload and signatures")
    if not isinstance(value["kind"], str) or not isinstance(value["signatures"], list):
        raise _refused("its kind is no text, or its signatures are no list")
    return Envelope(
        value["kind"], _bytes(value["payload"]), tuple(map(_bytes, value["signatures"]))
    )


def _bytes(text: Any) -> bytes:
    try:
        return base64.b64decode(text, validate=True)
    except (ValueError, TypeError):
        raise _refused("its bytes are not base64") from None


def _refused(reason: str) -> InvalidInput:
    return InvalidInput(f"this is no stored envelope: {reason}", code="bad-envelope")
