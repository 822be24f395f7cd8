"""Successions: a device's key names the one that follows it, and that one agrees.

Devices get a fresh key with each certificate, and an operator compared only one of them. With these
proofs whoever is certain of one key is certain of those that came after it, and knows those before:
the former key's signature keeps others from following it, the following one's keeps others from
being its past.
Trust: proofs come from the server, and count for nothing but their signatures.
"""

from __future__ import annotations

import base64
import binascii
from dataclasses import dataclass
from typing import TYPE_CHECKING

from penguindome import keys
from penguindome.errors import Forbidden, InvalidInput
from penguindome.framing import frame
from penguindome.orders.fields import Fields
from penguindome.strict_json import JsonLimits, canonical_json, parse_json

if TYPE_CHECKING:
    from collections.abc import Iterable

SUCCESSION_LIMIT_BYTES = 2 * 1024
SIGNATURE_LIMIT_BYTES = 256
_CODE = "bad-succession"
_FORMER, _FOLLOWING = "succession-former", "succession-following"
_KEY_CHARACTERS = 256
_NUMBER = 2**53
_LIMITS = JsonLimits(size_bytes=SUCCESSION_LIMIT_BYTES, depth=2, nodes=16)


@dataclass(frozen=True, slots=True)
class Succession:
    """What two keys of a device say of each other.

    Attributes:
        fleet: The fleet's id.
        device_id: The device's.
        former: The public key that the device had, DER.
        following: The one that it has from then on, DER.
        time_unix_ms: When, by the device's clock.
    """

    fleet: str
    device_id: str
    former: bytes
    following: bytes
    time_unix_ms: int


@dataclass(frozen=True, slots=True)
class SealedSuccession:
    """The exact bytes of a succession, and both keys' signatures over them."""

    payload: bytes
    former_signature: bytes
    following_signature: bytes


@dataclass(frozen=True, slots=True)
class HeldKey:
    """A public key of a device, DER, and until when it was; None for the present one."""

    spki: bytes
    until_unix_ms: int | None = None


def seal_succession(
    former_pem: bytes, following_pem: bytes, *, fleet: str, device_id: str, time_unix_ms: int
) -> SealedSuccession:
    """Return the proof that one private key follows another."""
    payload = canonical_json(
        {
            "fleet": fleet,
            "device_id": device_id,
            "former": base64.b64encode(keys.key_spki(former_pem)).decode(),
            "following": base64.b64encode(keys.key_spki(following_pem)).decode(),
            "time_unix_ms": time_unix_ms,
        }
    )
    return SealedSuccession(
        payload,
        keys.sign(former_pem, frame(_FORMER, payload)),
        keys.sign(following_pem, frame(_FOLLOWING, payload)),
    )


def open_succession(sealed: SealedSuccession, *, fleet: str, device_id: str) -> Succession:
    """Return what both keys signed.

    Raises:
        Forbidden: `bad-succession`: a signature is wrong, or it is another device's.
        InvalidInput: It is malformed.
    """
    said = read_succession(sealed.payload)
    if (said.fleet, said.device_id) != (fleet, device_id):
        raise Forbidden("the proof of a key is another device's", code=_CODE)
    if not (
        keys.verify(said.former, frame(_FORMER, sealed.payload), sealed.former_signature)
        and keys.verify(
            said.following, frame(_FOLLOWING, sealed.payload), sealed.following_signature
        )
    ):
        raise Forbidden("the proof of a key is not signed by both keys", code=_CODE)
    return said


def read_succession(payload: bytes) -> Succession:
    """Parse a succession; whether it is signed is not asked here.

    Raises:
        InvalidInput: It is malformed.
    """
    fields = Fields(parse_json(payload, _LIMITS), "the proof of a key", code=_CODE)
    said = Succession(
        fleet=fields.text("fleet", 64),
        device_id=fields.text("device_id", 64),
        former=_key(fields, "former"),
        following=_key(fields, "following"),
        time_unix_ms=fields.number("time_unix_ms", 0, _NUMBER),
    )
    fields.end()
    if said.former == said.following:
        fields.refuse("a key does not follow itself")
    return said


def lineage(
    present: bytes, proofs: Iterable[SealedSuccession], *, fleet: str, device_id: str
) -> tuple[HeldKey, ...]:
    """Return the keys that provably led to one, the oldest first and that one at the end.

    Args:
        present: The public key to begin with, DER.
        proofs: In any order; those that are none, or lead elsewhere, do not count.
        fleet: This fleet.
        device_id: The device.
    """
    leading: dict[bytes, list[SealedSuccession]] = {}
    for one in proofs:
        try:
            leading.setdefault(read_succession(one.payload).following, []).append(one)
        except InvalidInput:
            continue
    found = [HeldKey(present)]
    seen = {present}
    while step := _former(leading.get(found[-1].spki, ()), seen, fleet, device_id):
        found.append(step)
        seen.add(step.spki)
    return tuple(reversed(found))


def _former(
    proofs: Iterable[SealedSuccession], seen: set[bytes], fleet: str, device_id: str
) -> HeldKey | None:
    """Return the key before, by the first proof that is one."""
    for one in proofs:
        try:
            said = open_succession(one, fleet=fleet, device_id=device_id)
        except (Forbidden, InvalidInput):
            continue
        if said.former not in seen:
            return HeldKey(said.former, said.time_unix_ms)
    return None


def _key(fields: Fields, name: str) -> bytes:
    try:
        return base64.b64decode(fields.text(name, _KEY_CHARACTERS), validate=True)
    except (binascii.Error, ValueError):
        fields.refuse(f"{name} is not base64")
