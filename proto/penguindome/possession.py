"""Build the bytes that a proof of possession of a device's or an operator's key signs.

Each proof is bound to its purpose and to a nonce that the server hands out once.
"""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING

from penguindome.framing import frame

if TYPE_CHECKING:
    from collections.abc import Mapping


def enroll_bytes(
    nonce: bytes, token_id: bytes, csr: bytes, hostname: str, hints: Mapping[str, bytes]
) -> bytes:
    """Return what the applicant's key signs in an application."""
    pairs = [part for kind in sorted(hints) for part in (kind.encode(), hints[kind])]
    digest = hashlib.sha256(csr).digest()
    name = hostname.encode("utf-8", "surrogatepass")
    return frame("possession-enroll", nonce, token_id, digest, name, *pairs)


def poll_bytes(nonce: bytes, device_id: str) -> bytes:
    """Return what a waiting applicant's key signs."""
    return frame("possession-poll", nonce, device_id.encode())


def renew_bytes(nonce: bytes, device_id: str, csr: bytes) -> bytes:
    """Return what the recorded key signs to get a certificate for the key in the CSR."""
    return frame("possession-renew", nonce, device_id.encode(), hashlib.sha256(csr).digest())


def renew_operator_bytes(nonce: bytes, name: str) -> bytes:
    """Return what an operator's recorded key signs to get a fresh certificate."""
    return frame("possession-renew-operator", nonce, name.encode("utf-8", "surrogatepass"))
