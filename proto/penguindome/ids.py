"""Make and recognise identifiers.

Source of the ULID: https://github.com/ulid/spec (48 bits of milliseconds, 80 random bits).
"""

from __future__ import annotations

import base64
import re
import secrets
from typing import TYPE_CHECKING

from penguindome.times import to_unix_ms

if TYPE_CHECKING:
    from datetime import datetime

_CROCKFORD = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"
_ULID = re.compile(r"[0-7][0-9A-HJKMNP-TV-Z]{25}")
_DEVICE_ID = re.compile(r"d-[a-z2-7]{16}")
_FLEET_ID = re.compile(r"[0-9a-f]{32}")


def new_ulid(now: datetime) -> str:
    """Return a fresh ULID: 26 characters that sort by time."""
    return ulid_from(to_unix_ms(now), secrets.token_bytes(10))


def ulid_from(time_unix_ms: int, entropy: bytes) -> str:
    """Return the ULID of a time and 10 bytes."""
    number = (max(time_unix_ms, 0) & (2**48 - 1)) << 80 | int.from_bytes(entropy[:10], "big")
    return "".join(_CROCKFORD[number >> shift & 31] for shift in range(125, -1, -5))


def ulid_time(ulid: str) -> int:
    """Return the time in a ULID, milliseconds since the Unix epoch."""
    number = 0
    for character in ulid[:10]:
        number = number << 5 | _CROCKFORD.index(character)
    return number


def new_device_id() -> str:
    """Return a fresh device id: `d-` and 80 random bits in lower-case base32."""
    return "d-" + base64.b32encode(secrets.token_bytes(10)).decode().lower()


def new_fleet_id() -> str:
    """Return a fresh fleet id: 128 random bits in hexadecimal."""
    return secrets.token_hex(16)


def is_ulid(text: str) -> bool:
    """Tell whether a text is a ULID in its canonical upper-case form."""
    return _ULID.fullmatch(text) is not None


def is_device_id(text: str) -> bool:
    """Tell whether a text has the form of a device id."""
    return _DEVICE_ID.fullmatch(text) is not None


def is_fleet_id(text: str) -> bool:
    """Tell whether a text has the form of a fleet id."""
    return _FLEET_ID.fullmatch(text) is not None
