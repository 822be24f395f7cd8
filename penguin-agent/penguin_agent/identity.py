"""Who this device is: what the daemon holds in memory; the files are `identity_folder`'s."""

from __future__ import annotations

import base64
import json
from dataclasses import dataclass
from typing import TYPE_CHECKING

from penguindome.errors import Damaged

if TYPE_CHECKING:
    from datetime import datetime
    from pathlib import Path


@dataclass(frozen=True, slots=True)
class Device:
    """What the device knows of its enrollment: device.json, and enrolling.json before it is in.

    Attributes:
        device_id: given by the server; "" until it answered.
        fleet: the fleet's id.
        host: where the server is.
        main_port: of the main listener.
        bootstrap_port: of the bootstrap listener.
        anchor: the server anchor that came with the token, base64 DER.
        trust_hash: the hash of the trust document that the token pinned, hexadecimal.
        token_id: of the token, hexadecimal.
        approval: how the device came in: "token", or "operator" with a verified signature.
    """

    device_id: str
    fleet: str
    host: str
    main_port: int
    bootstrap_port: int
    anchor: str
    trust_hash: str
    token_id: str = ""
    approval: str = "token"

    @property
    def anchor_der(self) -> bytes:
        """Return the token's anchor."""
        return base64.b64decode(self.anchor)


@dataclass(frozen=True, slots=True)
class Facts:
    """What the daemon asks of its certificate.

    Attributes:
        serial: hexadecimal.
        not_before: start.
        not_after: end.
        fingerprint: of the key, to be read out at approval.
    """

    serial: str
    not_before: datetime
    not_after: datetime
    fingerprint: str


@dataclass(frozen=True, slots=True)
class Identity:
    """A usable identity: key and certificate belong together and name this device."""

    device: Device
    key_pem: bytes
    certificate_pem: bytes
    facts: Facts


def read_file(path: Path) -> bytes | None:
    """Return what a file holds; None if there is none."""
    try:
        return path.read_bytes()
    except FileNotFoundError:
        return None


def read_device(path: Path) -> Device | None:
    """Return what a file says about this device; None if there is none.

    Raises:
        Damaged: It cannot be read.
    """
    data = read_file(path)
    if data is None:
        return None
    try:
        return Device(**json.loads(data))
    except (ValueError, TypeError):
        raise Damaged("cannot be read", subject=str(path)) from None
