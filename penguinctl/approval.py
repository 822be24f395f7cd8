"""An operator's signature on a waiting device's key."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING

from penguinctl import signing, wire
from penguindome.envelope import make_payload
from penguindome.errors import PreconditionFailed
from penguindome.ids import new_ulid

if TYPE_CHECKING:
    from penguinctl.app import App
    from penguinctl.profile import Profile
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
    envelope = signing.sign(own_key(app.profile, passphrase_file), "enroll", payload)
    return wire.envelope_pb2.Envelope(
        kind=envelope.kind, payload=envelope.payload, signatures=envelope.signatures
    )


def own_key(profile: Profile, passphrase_file: Path | None) -> signing.SigningKey:
    """Return the key that the profile names.

    Raises:
        PreconditionFailed: It names none.
    """
    if not profile.signing_key:
        raise PreconditionFailed(
            "you have no signing key yet",
            subject=profile.operator,
            code="no-signing-key",
            remedy="Run `penguinctl init` again, with --gpg-key for a key of your own",
        )
    home = Path(profile.gpg_home) if profile.gpg_home else None
    passphrase = signing.read_passphrase(passphrase_file)
    return signing.SigningKey(profile.signing_key, home, profile.own_home, passphrase)
