"""Seal the bytes of a shell end to end: X25519, HKDF-SHA256, ChaCha20-Poly1305.

Both public keys are signed: the operator's stands in the order, the device's in its answer. Each
direction has a key of its own and counts its frames; the count is the nonce, so that a frame that
is repeated, left out, moved, changed or made up ends the session.
Source: RFC 7748, RFC 5869, RFC 8439.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from typing import TYPE_CHECKING

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey, X25519PublicKey
from cryptography.hazmat.primitives.ciphers.aead import ChaCha20Poly1305
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from penguindome.errors import Forbidden
from penguindome.framing import frame
from penguindome.shell.frames import FRAME_LIMIT_BYTES

if TYPE_CHECKING:
    from typing import Literal

    Direction = Literal["to-device", "to-operator"]

KEY_BYTES = 32
_RAW = serialization.Encoding.Raw
_RAW_PUBLIC = serialization.PublicFormat.Raw
_COUNT_BYTES = 8
_HEAD_BYTES = _COUNT_BYTES + 1
# What a sealed frame has beside its bytes: the head, and the cipher's tag.
OVERHEAD_BYTES = _HEAD_BYTES + 16
# The most that a frame holds.
DATA_LIMIT_BYTES = FRAME_LIMIT_BYTES - OVERHEAD_BYTES


@dataclass(frozen=True, slots=True)
class SessionKeys:
    """One key for each direction, and what binds frames to the session."""

    to_device: bytes
    to_operator: bytes
    session: bytes


class Ephemeral:
    """One end's key pair of one session; the private half never leaves the process."""

    def __init__(self) -> None:
        self._private = X25519PrivateKey.generate()

    @property
    def public(self) -> bytes:
        """Return the public key, 32 bytes."""
        return self._private.public_key().public_bytes(_RAW, _RAW_PUBLIC)

    def agree(self, theirs: bytes, order: bytes, answer: bytes) -> SessionKeys:
        """Return the session's keys.

        Args:
            theirs: The other end's public key.
            order: The order's payload as it was signed.
            answer: The device's answer as it was signed.

        Raises:
            Forbidden: The other key is none.
        """
        try:
            shared = self._private.exchange(X25519PublicKey.from_public_bytes(theirs))
        except ValueError:
            raise Forbidden("the other end's key is none", code="shell-key") from None
        session = hashlib.sha256(frame("shell-session", order, answer)).digest()
        made = HKDF(hashes.SHA256(), 2 * KEY_BYTES, session, b"penguindome-v1 shell").derive(shared)
        return SessionKeys(made[:KEY_BYTES], made[KEY_BYTES:], session)


class Sealer:
    """Seals the frames of one direction, in order."""

    def __init__(self, keys: SessionKeys, direction: Direction) -> None:
        key = keys.to_device if direction == "to-device" else keys.to_operator
        self._cipher = ChaCha20Poly1305(key)
        self._bound = frame("shell-frame", keys.session, direction.encode())
        self.count = 0

    def seal(self, kind: int, data: bytes) -> bytes:
        """Return the next frame: count, kind, sealed bytes."""
        head = self.count.to_bytes(_COUNT_BYTES, "big") + bytes([kind])
        self.count += 1
        return head + self._cipher.encrypt(_nonce(head), data, self._bound + head)


class Opener:
    """Opens the frames of one direction, each exactly once and in order."""

    def __init__(self, keys: SessionKeys, direction: Direction) -> None:
        key = keys.to_device if direction == "to-device" else keys.to_operator
        self._cipher = ChaCha20Poly1305(key)
        self._bound = frame("shell-frame", keys.session, direction.encode())
        self.count = 0

    def open(self, sealed: bytes) -> tuple[int, bytes]:
        """Return a frame's kind and bytes.

        Raises:
            Forbidden: `shell-tampered`: it is not the next frame as the other end sealed it.
        """
        head = sealed[:_HEAD_BYTES]
        if len(head) < _HEAD_BYTES or frame_count(sealed) != self.count:
            raise _tampered("a frame is missing, repeated or out of order")
        try:
            data = self._cipher.decrypt(_nonce(head), sealed[_HEAD_BYTES:], self._bound + head)
        except InvalidTag:
            raise _tampered("a frame was changed or made up") from None
        self.count += 1
        return head[_COUNT_BYTES], data


def frame_count(sealed: bytes) -> int:
    """Return the number that a sealed frame claims to have; -1 for none."""
    if len(sealed) < _HEAD_BYTES:
        return -1
    return int.from_bytes(sealed[:_COUNT_BYTES], "big")


def _nonce(head: bytes) -> bytes:
    return b"\0\0\0\0" + head[:_COUNT_BYTES]


def _tampered(reason: str) -> Forbidden:
    return Forbidden(
        f"the session is ended: {reason}",
        code="shell-tampered",
        remedy="Something between the two ends interferes; look at the server",
    )
