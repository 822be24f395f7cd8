"""Whose word it is that a key is a device's: an operator's signature, or only the server's."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from penguinctl.envelopes import from_message
from penguindome import keys
from penguindome.envelope import check_signed, read_payload
from penguindome.errors import Forbidden, InvalidInput

if TYPE_CHECKING:
    from penguindome.trust import TrustDocument
    from penguindome.v1 import shell_pb2

ROLE = "approve"


@dataclass(frozen=True, slots=True)
class Vouching:
    """Operators who signed for a device, and whether for the very key that it has now.

    Devices renew their keys: that the new one is the same device's is the server's word.
    """

    names: tuple[str, ...] = ()
    is_certain: bool = False


def vouched_by(response: shell_pb2.GetSessionResponse, trust: TrustDocument) -> Vouching:
    """Return who signed that a key is this device's."""
    if not response.HasField("approval"):
        return Vouching()
    envelope = from_message(response.approval)
    try:
        found = check_signed(envelope, trust, ROLE)
        payload = read_payload(envelope.payload)
    except (Forbidden, InvalidInput):
        # Signed by somebody who has left: nobody's word counts any more.
        return Vouching()
    if (payload.fleet, payload.devices) != (trust.fleet, (response.session.device_id,)):
        return Vouching()
    return Vouching(
        names=tuple(sorted(trust.operators[one] for one in found)),
        is_certain=payload.body.get("fingerprint") == keys.fingerprint(response.device_key),
    )
