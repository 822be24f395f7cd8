"""Join fields into bytes that can be read back in one way only, for hashing and signing.

The form is DSSE's pre-authentication encoding: a purpose, then each field with its length.
Source: https://github.com/secure-systems-lab/dsse/blob/master/protocol.md
"""

from __future__ import annotations

PREFIX = b"penguindome-v1"


def frame(purpose: str, *fields: bytes) -> bytes:
    """Return the prefix, the purpose and each field behind its decimal length, NUL-separated."""
    parts = [PREFIX, purpose.encode()]
    for field in fields:
        parts += [str(len(field)).encode(), field]
    return b"\0".join(parts)
