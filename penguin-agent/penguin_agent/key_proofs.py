"""Proofs that this device's keys follow each other, on the disk before the server hears of one.

The file may name a key that never came into use: the next proof begins at the present key again, so
that nothing has to be done after a crash. A file that cannot be read costs the past, no renewal.
"""

from __future__ import annotations

import base64
import json
from typing import TYPE_CHECKING, Any

from penguindome.durable import write_file
from penguindome.errors import Forbidden, InvalidInput
from penguindome.keys import key_spki
from penguindome.succession import SealedSuccession, open_succession, seal_succession
from penguindome.times import to_unix_ms

if TYPE_CHECKING:
    from datetime import datetime
    from pathlib import Path

    from penguin_agent.identity import Identity

FILE = "successions.json"
# What the server takes at once; more of them are half a year.
_SENT = 32


def extend(
    path: Path, identity: Identity, following_pem: bytes, now: datetime
) -> tuple[SealedSuccession, ...]:
    """Add the proof that a key follows the identity's, and return what the server gets.

    Args:
        path: The file.
        identity: As it is.
        following_pem: The private key that a certificate is asked for.
        now: By this device's clock.

    Raises:
        LimitExceeded: The disk is full.
        PreconditionFailed: The file cannot be written.
    """
    device = identity.device
    made = seal_succession(
        identity.key_pem,
        following_pem,
        fleet=device.fleet,
        device_id=device.device_id,
        time_unix_ms=to_unix_ms(now),
    )
    proofs = (*_leading_to(_read(path), identity), made)[-_SENT:]
    write_file(path, json.dumps([_to_json(one) for one in proofs], indent=1).encode())
    return proofs


def _leading_to(proofs: list[SealedSuccession], identity: Identity) -> list[SealedSuccession]:
    """Return the last proofs that lead to the identity's key without a gap, oldest first."""
    wanted = key_spki(identity.key_pem)
    found: list[SealedSuccession] = []
    for one in reversed(proofs):
        try:
            said = open_succession(
                one, fleet=identity.device.fleet, device_id=identity.device.device_id
            )
        except (Forbidden, InvalidInput):
            continue
        if said.following == wanted:
            found.insert(0, one)
            wanted = said.former
    return found


def _read(path: Path) -> list[SealedSuccession]:
    try:
        return [_from_json(one) for one in json.loads(path.read_bytes())]
    except (OSError, ValueError, TypeError, KeyError):
        return []


def _to_json(proof: SealedSuccession) -> dict[str, str]:
    return {
        "payload": base64.b64encode(proof.payload).decode(),
        "former_signature": base64.b64encode(proof.former_signature).decode(),
        "following_signature": base64.b64encode(proof.following_signature).decode(),
    }


def _from_json(value: dict[str, Any]) -> SealedSuccession:
    return SealedSuccession(
        base64.b64decode(value["payload"]),
        base64.b64decode(value["former_signature"]),
        base64.b64decode(value["following_signature"]),
    )
