"""Checking that a caller without a certificate holds a key."""

from __future__ import annotations

from typing import TYPE_CHECKING

from penguindome import certs
from penguindome.errors import Unauthenticated

if TYPE_CHECKING:
    from collections.abc import Iterable


def prover(keys: Iterable[bytes], data: bytes, signature: bytes) -> bytes:
    """Return which of the public keys made the signature.

    Raises:
        Unauthenticated: when none did.
    """
    for spki in keys:
        if certs.verify(spki, data, signature):
            return spki
    raise not_proven()


def not_proven() -> Unauthenticated:
    """Return the one answer to unknown names and wrong signatures, which tells neither apart."""
    return Unauthenticated(
        "the caller does not hold the recorded key",
        code="possession",
        remedy="if the key is lost, a device enrolls again with a new token, and an operator asks"
        " for a new invitation",
    )
