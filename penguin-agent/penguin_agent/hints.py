"""Keyed hashes of machine identifiers: hints for operators, useless to anybody else.

The identifiers never leave the device. Source: machine-id(5), which asks for a keyed hash.
"""

from __future__ import annotations

import hashlib
import hmac
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping

_DOMAIN = b"penguindome/hint/v1"
_SOURCES = {
    "machine-id": "etc/machine-id",
    "product-uuid": "sys/class/dmi/id/product_uuid",
    "board-serial": "sys/class/dmi/id/board_serial",
}
# What firmware of careless makers says about every machine they sold.
_MEANINGLESS = frozenset(
    {
        "",
        "0",
        "none",
        "default string",
        "not applicable",
        "not specified",
        "system serial number",
        "to be filled by o.e.m.",
        "uninitialized",
        "00000000-0000-0000-0000-000000000000",
        "03000200-0400-0500-0006-000700080009",
    }
)
_READ_LIMIT = 256


def machine_hints(fleet: str, root: Path = Path("/")) -> Mapping[str, bytes]:
    """Return HMAC-SHA256 values by kind, for those identifiers that the machine has."""
    found = {kind: _read(root / path) for kind, path in _SOURCES.items()}
    return {
        kind: hint(value, fleet)
        for kind, value in found.items()
        if value.lower() not in _MEANINGLESS
    }


def hint(identifier: str, fleet: str) -> bytes:
    """Return the hash of one identifier for one fleet; two fleets cannot compare theirs."""
    message = _DOMAIN + b"\0" + fleet.encode()
    return hmac.new(identifier.encode(), message, hashlib.sha256).digest()


def _read(path: Path) -> str:
    try:
        with path.open("rb") as stream:
            return stream.read(_READ_LIMIT).decode("utf-8", "replace").strip()
    except OSError:
        return ""
