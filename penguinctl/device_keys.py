"""A device's keys as the server hands them out, and which of them are proven.

Trust: key, proofs and approval are whatever the server says. What counts is that an operator signed
for a key, or that this penguinctl was certain of one before, and that proofs lead from there.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from penguinctl.envelopes import from_message
from penguindome import keys
from penguindome.envelope import check_signed, read_payload
from penguindome.errors import Forbidden, InvalidInput
from penguindome.succession import HeldKey, SealedSuccession, lineage

if TYPE_CHECKING:
    from collections.abc import Iterable

    from penguinctl.app import App
    from penguindome.envelope import Envelope
    from penguindome.trust import TrustDocument
    from penguindome.v1 import device_pb2, shell_pb2, succession_pb2

ROLE = "approve"
KIND = "enroll"


@dataclass(frozen=True, slots=True)
class OfferedKeys:
    """What the server says of a device's key.

    Attributes:
        fleet: This fleet's id.
        device_id: The device.
        present: The public key that it has now, DER.
        proofs: That keys follow each other, in any order.
        approval: An operator's; None where a token let the device in.
        held: The keys that provably led to the present one, oldest first, with that one.
    """

    fleet: str
    device_id: str
    present: bytes
    proofs: tuple[SealedSuccession, ...]
    approval: Envelope | None
    held: tuple[HeldKey, ...]

    def renewals_since(self, fingerprint: str) -> int | None:
        """Return how often a key was renewed until the present one; None if that is not proven."""
        for number, one in enumerate(reversed(self.held)):
            if keys.fingerprint(one.spki) == fingerprint:
                return number
        return None

    def leading_to(self, spki: bytes) -> tuple[HeldKey, ...]:
        """Return the keys that provably led to another one than the present, with that one."""
        return lineage(spki, self.proofs, fleet=self.fleet, device_id=self.device_id)


@dataclass(frozen=True, slots=True)
class Vouching:
    """Operators who signed for a device's key.

    Attributes:
        names: Who.
        renewals: How often that key was renewed until the present one; None if nothing proves that
            the present one follows it.
    """

    names: tuple[str, ...] = ()
    renewals: int | None = None

    @property
    def is_certain(self) -> bool:
        """Tell whether it leads to the present key."""
        return self.renewals is not None


def of_session(app: App, response: shell_pb2.GetSessionResponse, device_id: str) -> OfferedKeys:
    """Return what a session says of a device's key; of another device it proves nothing."""
    approval = from_message(response.approval) if response.HasField("approval") else None
    return _offered(app, device_id, response.device_key, response.successions, approval)


def of_device(app: App, message: device_pb2.DeviceKeys) -> OfferedKeys:
    """Return what a device's own answer says."""
    approval = from_message(message.approval) if message.HasField("approval") else None
    return _offered(app, message.device_id, message.public_key, message.successions, approval)


def vouched_by(offered: OfferedKeys, trust: TrustDocument) -> Vouching:
    """Return who signed for the key of a device, and whether that leads to the present one."""
    if offered.approval is None or offered.approval.kind != KIND:
        return Vouching()
    try:
        found = check_signed(offered.approval, trust, ROLE)
        payload = read_payload(offered.approval.payload)
    except (Forbidden, InvalidInput):
        # Signed by somebody who has left: nobody's word counts any more.
        return Vouching()
    said = (payload.kind, payload.fleet, payload.devices)
    if said != (KIND, trust.fleet, (offered.device_id,)):
        return Vouching()
    return Vouching(
        names=tuple(sorted(trust.operators[one] for one in found)),
        renewals=offered.renewals_since(str(payload.body.get("fingerprint", ""))),
    )


def _offered(
    app: App,
    device_id: str,
    present: bytes,
    messages: Iterable[succession_pb2.KeySuccession],
    approval: Envelope | None,
) -> OfferedKeys:
    proofs = tuple(
        SealedSuccession(one.payload, one.former_signature, one.following_signature)
        for one in messages
    )
    fleet = app.profile.fleet
    held = lineage(present, proofs, fleet=fleet, device_id=device_id)
    return OfferedKeys(fleet, device_id, present, proofs, approval, held)
