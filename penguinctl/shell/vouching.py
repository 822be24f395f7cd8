"""Whose word it is that a key is a device's: an operator's signature, or only the server's."""

from __future__ import annotations

from typing import TYPE_CHECKING

from penguinctl.envelopes import from_message
from penguinctl.exits import NotVerified
from penguindome import keys
from penguindome.envelope import check_signed, read_payload
from penguindome.errors import Forbidden, InvalidInput

if TYPE_CHECKING:
    from penguindome.trust import TrustDocument
    from penguindome.v1 import shell_pb2

ROLE = "approve"


def vouched_by(response: shell_pb2.GetSessionResponse, trust: TrustDocument) -> tuple[str, ...]:
    """Return the operators who signed that this key is this device's; none: the server alone says.

    Raises:
        NotVerified: Somebody approved another key than the one that the server names.
    """
    if not response.HasField("approval"):
        return ()
    envelope = from_message(response.approval)
    try:
        found = check_signed(envelope, trust, ROLE)
        payload = read_payload(envelope.payload)
    except (Forbidden, InvalidInput):
        # Signed by somebody who has left: nobody's word counts any more.
        return ()
    said = (payload.fleet, payload.devices, payload.body.get("fingerprint"))
    device_id = response.session.device_id
    if said != (trust.fleet, (device_id,), keys.fingerprint(response.device_key)):
        raise NotVerified(
            "the key that the server names is not the one that an operator approved",
            subject=device_id,
            code="other-key",
            remedy="Nothing was typed there; look at the server, and at the device",
        )
    return tuple(sorted(trust.operators[one] for one in found))
