"""Looking for secrets in heaps of bytes, however they are written."""

from __future__ import annotations

import base64
from typing import TYPE_CHECKING

from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping
    from pathlib import Path

_PLAIN = serialization.NoEncryption()


def forms(secret: bytes) -> set[bytes]:
    """Return how a secret may be written: raw, hexadecimal, base64 of both alphabets."""
    found = {secret, secret.hex().encode(), secret.hex().upper().encode()}
    for offset in range(3):
        # Inside of longer text the same bytes look different at each of three positions; what
        # depends on the neighbours is cut off.
        padded = bytes(offset) + secret
        whole = len(padded) // 3 * 3
        start = 0 if offset == 0 else 4
        for encode in (base64.b64encode, base64.urlsafe_b64encode):
            found.add(encode(padded[:whole])[start:])
    return found


def key_forms(key_pem: bytes) -> set[bytes]:
    """Return how a private key may be written: its number alone, and its standard forms."""
    key = serialization.load_pem_private_key(key_pem, None)
    assert isinstance(key, ec.EllipticCurvePrivateKey)
    number = key.private_numbers().private_value.to_bytes(32, "big")
    # RFC 5958, RFC 5915: the last line of its three holds nothing but the public key.
    lines = [line for line in key_pem.splitlines() if not line.startswith(b"-")]
    return forms(number) | set(lines[:2])


def hits(needles: Mapping[str, Iterable[bytes]], heap: bytes) -> set[str]:
    """Return the names of the secrets that a heap holds in any form."""
    return {name for name, ways in needles.items() if any(way in heap for way in ways)}


def files(folder: Path, *, except_for: Iterable[Path] = ()) -> Iterator[tuple[Path, bytes]]:
    """Yield every file below a folder with what is in it."""
    left_out = set(except_for)
    for path in sorted(folder.rglob("*")):
        if path not in left_out and path.is_file() and not path.is_symlink():
            yield path, path.read_bytes()
