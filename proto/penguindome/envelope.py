"""Make and open envelopes: signed bytes, the only thing that has power over a device.

Opening keeps an order, so that nothing is parsed before it is known to be signed:
1. sizes; 2. each signature alone, over the received bytes; 3. as many distinct primary keys of the
role as its threshold; 4. strict parsing; 5. fleet, kind, target, window, floor.
Trust: an envelope is whatever the server handed over.
"""

from __future__ import annotations

import re
import time
from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING, NoReturn

from penguindome.errors import Forbidden, InvalidInput
from penguindome.framing import frame
from penguindome.gpgv import SIGNATURE_LIMIT_BYTES, TIMEOUT_SECONDS, verify_detached
from penguindome.payload import PAYLOAD_LIMIT_BYTES, Payload, make_payload, read_payload

if TYPE_CHECKING:
    from datetime import datetime

    from penguindome.trust_document import TrustDocument

__all__ = [
    "CLOCK_TOLERANCE",
    "LIMITS",
    "Envelope",
    "Payload",
    "check_signed",
    "check_sizes",
    "make_payload",
    "open_envelope",
    "read_payload",
    "read_signed",
    "signed_bytes",
    "signers",
]

# How far the clocks of an operator and a device may differ.
CLOCK_TOLERANCE = timedelta(minutes=5)
_KIND = re.compile(r"[a-z][a-z-]{0,31}")


@dataclass(frozen=True, slots=True)
class EnvelopeLimits:
    """Bound an envelope before anything else looks at it."""

    payload_bytes: int = PAYLOAD_LIMIT_BYTES
    signature_bytes: int = SIGNATURE_LIMIT_BYTES
    signatures: int = 16


LIMITS = EnvelopeLimits()


@dataclass(frozen=True, slots=True)
class Envelope:
    """Hold exact payload bytes and detached signatures on them, one signer each."""

    kind: str
    payload: bytes
    signatures: tuple[bytes, ...] = ()


def signed_bytes(kind: str, payload: bytes) -> bytes:
    """Return the bytes that signatures are over; the kind is part of them."""
    return frame(kind, payload)


def signers(envelope: Envelope, trust: TrustDocument, role: str) -> frozenset[str]:
    """Return the primary fingerprints in a role that signed an envelope; others do not count.

    All signatures together get the time of one: sixteen that keep gpgv busy cost no more than one.
    """
    wanted = frozenset(trust.roles[role].fingerprints) if role in trust.roles else frozenset()
    ring = [trust.keys[fingerprint] for fingerprint in sorted(wanted)]
    data = signed_bytes(envelope.kind, envelope.payload)
    found: set[str] = set()
    until = time.monotonic() + TIMEOUT_SECONDS
    for signature in envelope.signatures:
        try:
            found.add(verify_detached(data, signature, ring, until - time.monotonic()))
        except Forbidden:
            continue
    return frozenset(found & wanted)


def check_signed(
    envelope: Envelope, trust: TrustDocument, role: str, threshold: int | None = None
) -> frozenset[str]:
    """Check sizes, signatures and threshold (steps 1 to 3); return who signed.

    Args:
        envelope: As received.
        trust: The newest trust document.
        role: Whose signatures count.
        threshold: How many it takes; None means what the document says of the role.

    Raises:
        Forbidden: `bad-envelope` or `not-signed`.
    """
    check_sizes(envelope)
    held = trust.roles[role].threshold if role in trust.roles else 0
    threshold = held if threshold is None else threshold
    if min(held, threshold) < 1:
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
    return read_signed(envelope, trust=trust, fleet=fleet, device_id=device_id, now=now)


def read_signed(
    envelope: Envelope,
    *,
    trust: TrustDocument,
    fleet: str,
    device_id: str | None,
    now: datetime,
) -> Payload:
    """Do the rest of `open_envelope` (steps 4 and 5), once `check_signed` said who signed."""
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


def _check_times(payload: Payload, trust: TrustDocument, now: datetime) -> None:
    if now >= trust.expires_time:
        _refuse(
            "trust-expired",
            "the trust document has expired, so nothing is obeyed",
            remedy="A root operator renews it with penguinctl trust renew",
        )
    # Nothing is taken from the payload's times: they may be the first there are.
    if now + CLOCK_TOLERANCE < max(payload.not_before_time, payload.issued_time):
        _refuse("not-yet-valid", "its time has not come, or this clock is behind")
    if now >= payload.expires_time:
        _refuse("expired", "it has expired")
    if payload.issued_time < trust.ticket_floor_time:
        _refuse("voided", "it was voided by a newer trust document")


def _refuse(code: str, reason: str, *, remedy: str = "") -> NoReturn:
    raise Forbidden(f"the envelope is refused: {reason}", code=code, remedy=remedy)
