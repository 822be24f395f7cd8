"""Read just enough of OpenPGP to know whose public key a blob is.

Source: RFC 4880 §4.2 (packet headers), §12.2 (fingerprints); RFC 9580 keeps both for version 4.
Trust: the blob may be anything; it is only split and hashed here, never used.
"""

from __future__ import annotations

import hashlib
import re

from penguindome.errors import InvalidInput

KEY_LIMIT_BYTES = 16 * 1024
_FINGERPRINT = re.compile(r"[0-9A-F]{40}")
_PUBLIC_KEY, _SIGNATURE, _USER_ID, _PUBLIC_SUBKEY, _USER_ATTRIBUTE = 6, 2, 13, 14, 17
_PUBLIC = frozenset({_PUBLIC_KEY, _SIGNATURE, _USER_ID, _PUBLIC_SUBKEY, _USER_ATTRIBUTE})


def is_fingerprint(text: str) -> bool:
    """Tell whether a text is a version 4 fingerprint in upper-case hexadecimal."""
    return _FINGERPRINT.fullmatch(text) is not None


def key_fingerprint(blob: bytes) -> str:
    """Return the fingerprint of the one public key that a binary blob holds.

    Raises:
        InvalidInput: The blob holds no key, several, a secret one, one of another version or junk.
    """
    if len(blob) > KEY_LIMIT_BYTES:
        raise _bad(f"is larger than {KEY_LIMIT_BYTES} bytes")
    fingerprints: list[str] = []
    offset = 0
    while offset < len(blob):
        tag, start, end = _packet(blob, offset)
        if tag not in _PUBLIC:
            raise _bad("holds something else than public keys")
        if tag == _PUBLIC_KEY:
            fingerprints.append(_fingerprint(blob[start:end]))
        elif not fingerprints:
            raise _bad("does not begin with a key")
        offset = end
    if len(fingerprints) != 1:
        raise _bad(f"holds {len(fingerprints)} keys instead of one")
    return fingerprints[0]


def _fingerprint(body: bytes) -> str:
    if not body or body[0] != 4:
        raise _bad("is not of version 4")
    head = b"\x99" + len(body).to_bytes(2, "big")
    # SHA-1 is what version 4 fingerprints are; operators make their own keys, so that only second
    # preimages would matter.
    return hashlib.sha1(head + body, usedforsecurity=False).hexdigest().upper()


def _packet(blob: bytes, offset: int) -> tuple[int, int, int]:
    """Return a packet's tag and where its body starts and ends."""
    head = blob[offset]
    if not head & 0x80:
        raise _bad("is not binary OpenPGP (export it without --armor)")
    if head & 0x40:
        start, size = _new_length(blob, offset + 1)
        tag = head & 0x3F
    else:
        start, size = _old_length(blob, offset + 1, head & 3)
        tag = head >> 2 & 0xF
    if start + size > len(blob):
        raise _bad("is cut off")
    return tag, start, start + size


def _old_length(blob: bytes, offset: int, kind: int) -> tuple[int, int]:
    if kind == 3:
        raise _bad("has a packet of unknown length")
    octets = 1 << kind
    return offset + octets, int.from_bytes(_take(blob, offset, octets), "big")


def _new_length(blob: bytes, offset: int) -> tuple[int, int]:
    first = _take(blob, offset, 1)[0]
    if first < 192:
        return offset + 1, first
    if first < 224:
        second = _take(blob, offset + 1, 1)[0]
        return offset + 2, ((first - 192) << 8) + second + 192
    if first < 255:
        raise _bad("has a packet in parts")
    return offset + 5, int.from_bytes(_take(blob, offset + 1, 4), "big")


def _take(blob: bytes, offset: int, count: int) -> bytes:
    part = blob[offset : offset + count]
    if len(part) != count:
        raise _bad("is cut off")
    return part


def _bad(reason: str) -> InvalidInput:
    return InvalidInput(f"the OpenPGP key {reason}", code="bad-openpgp-key")
