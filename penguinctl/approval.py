"""An operator's signature on a waiting device's key."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING

from penguinctl import signing
from penguinctl.envelopes import to_message
from penguindome.envelope import make_payload
from penguindome.ids import new_ulid

if TYPE_CHECKING:
    from pathlib import Path

    from penguinctl.app import App
    from penguindome.v1 import device_pb2, envelope_pb2

# A waiting laptop may sleep for months before it fetches the approval.
_VALIDITY = timedelta(days=3650)


def signed(
    app: App, device: device_pb2.Device, reason: str, passphrase_file: Path | None
) -> envelope_pb2.Envelope:
    """Return an envelope of kind `enroll` for a device's id and key.

    Raises:
        PreconditionFailed: This operator has no signing key.
    """
    payload = make_payload(
        fleet=app.profile.fleet,
        kind="enroll",
        id=new_ulid(app.now),
        issued_time=app.now,
        not_before_time=app.now,
        expires_time=app.now + _VALIDITY,
        devices=[device.device_id],
        reason=reason,
        by=app.profile.operator,
        body={"device_id": device.device_id, "fingerprint": device.key_fingerprint},
    )
    key = signing.own_key(app.profile, passphrase_file)
    return to_message(signing.sign(key, "enroll", payload))
