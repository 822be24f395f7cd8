"""Envelopes on the wire and in memory: the same bytes."""

from __future__ import annotations

from typing import TYPE_CHECKING

from penguinctl import wire
from penguindome.envelope import Envelope

if TYPE_CHECKING:
    from penguindome.v1 import envelope_pb2


def from_message(message: envelope_pb2.Envelope) -> Envelope:
    """Return a message's envelope, not verified."""
    return Envelope(
        kind=message.kind, payload=message.payload, signatures=tuple(message.signatures)
    )


def to_message(envelope: Envelope) -> envelope_pb2.Envelope:
    """Return the message of an envelope."""
    return wire.envelope_pb2.Envelope(
        kind=envelope.kind, payload=envelope.payload, signatures=envelope.signatures
    )
