"""The form of a backup: frames, each chained to all that stands before it by SHA-256.

A file is the magic line, then frames, and nothing behind the last one:

    kind       1 byte: H header, F file, f its bytes, C collection, d its documents, E end
    length     4 bytes, big-endian
    payload    JSON for H, F, C and E; bytes for f; BSON documents, one behind the other, for d
    digest     32 bytes: SHA-256 of the digest before, kind, length and payload

The digest before the first frame is that of the magic line. So a changed byte is found in its own
frame before anything in it is used, and a cut tail by the missing end frame.
Trust: anybody may have written the file; hashes find accidents, not forgers.
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol

from penguindome.errors import Damaged, InvalidInput, NotSupported

if TYPE_CHECKING:
    from collections.abc import Iterator

VERSION = 1
_MAGIC_WORD = b"PenguinDome backup "
_MAGIC_LIMIT = 32
#: What an armored or a binary OpenPGP message begins with; RFC 4880 section 5.1 and 6.2.
_ARMOR = b"-----BEGIN PGP"
_SESSION_KEY_TAGS = frozenset({0x84, 0x85, 0x86, 0xC1})
_HEAD_BYTES = 5
_DIGEST_BYTES = 32
#: A document has at most 16 MiB, and a batch of them a little more.
PAYLOAD_LIMIT_BYTES = 64 << 20
CHUNK_BYTES = 1 << 20
_JSON_LIMIT_BYTES = 1 << 20
KINDS = b"HFfCdE"
_TEXTS = b"HFCE"


class Source(Protocol):
    """Be what a backup is read from."""

    def read(self, size: int, /) -> bytes:
        """Return at most so many bytes; none at the end."""


class Sink(Protocol):
    """Be what a backup is written to."""

    def write(self, data: bytes, /) -> object:
        """Take bytes."""


@dataclass(frozen=True, slots=True)
class Frame:
    """One frame whose digest was right. `offset` is where it begins in the file."""

    kind: str
    payload: bytes
    offset: int

    def value(self) -> dict[str, Any]:
        """Return the JSON object that the payload is.

        Raises:
            Damaged: it is none.
        """
        try:
            value = json.loads(self.payload)
        except (ValueError, RecursionError):
            value = None
        if not isinstance(value, dict):
            raise damaged("the frame holds no JSON object", self.offset)
        return value


class FrameWriter:
    """Makes frames, in order."""

    def __init__(self) -> None:
        self._digest = hashlib.sha256(magic()).digest()

    @property
    def digest(self) -> bytes:
        """Return the digest of all that was made."""
        return self._digest

    def frame(self, kind: str, payload: bytes | dict[str, Any]) -> bytes:
        """Return the bytes of the next frame."""
        data = payload if isinstance(payload, bytes) else json.dumps(payload).encode()
        head = kind.encode() + len(data).to_bytes(4, "big")
        self._digest = _chained(self._digest, head, data)
        return head + data + self._digest


def magic() -> bytes:
    """Return the line that a backup begins with."""
    return _MAGIC_WORD + str(VERSION).encode() + b"\n"


def read_frames(source: Source) -> Iterator[Frame]:
    """Yield frames, the end frame last; each was verified before.

    Raises:
        InvalidInput: this is no backup.
        NotSupported: it is encrypted, or of a newer version.
        Damaged: it was changed or cut off; says at which byte.
    """
    start = _read_magic(source)
    offset, digest = len(start), hashlib.sha256(start).digest()
    kind = ""
    while kind != "E":
        head = _exactly(source, _HEAD_BYTES, offset)
        kind, size = _checked_head(head, offset)
        payload = _exactly(source, size, offset)
        digest = _chained(digest, head, payload)
        if _exactly(source, _DIGEST_BYTES, offset) != digest:
            raise damaged("the bytes are not the ones that were written", offset)
        yield Frame(kind, payload, offset)
        offset += _HEAD_BYTES + size + _DIGEST_BYTES
    if source.read(1):
        raise damaged("something follows the end of the backup", offset)


def damaged(reason: str, offset: int) -> Damaged:
    """Return the error about a place in a backup."""
    return Damaged(
        f"{reason} (at byte {offset})",
        code="backup-damaged",
        subject="backup",
        remedy="use another backup; this one is not restored, not even in parts",
    )


def _read_magic(source: Source) -> bytes:
    line = b""
    while not line.endswith(b"\n") and len(line) < _MAGIC_LIMIT:
        byte = source.read(1)
        if not byte:
            break
        line += byte
    if line == magic():
        return line
    if line.startswith(_ARMOR) or (line and line[0] in _SESSION_KEY_TAGS):
        raise NotSupported(
            "the backup is encrypted",
            code="backup-encrypted",
            subject="backup",
            remedy="decrypt it with the key that it was made for, and give it on standard input: "
            "gpg --decrypt FILE | penguind … -",
        )
    version = line.removeprefix(_MAGIC_WORD).strip()
    if line.startswith(_MAGIC_WORD) and version.isdigit():
        raise NotSupported(
            f"the backup has format {int(version)}, and this penguind knows format {VERSION}",
            code="backup-version",
            subject="backup",
            remedy="use the version of penguind that made it, or a newer one",
        )
    raise InvalidInput("this is no backup of penguind", code="no-backup", subject="backup")


def _checked_head(head: bytes, offset: int) -> tuple[str, int]:
    size = int.from_bytes(head[1:], "big")
    limit = _JSON_LIMIT_BYTES if head[0] in _TEXTS else PAYLOAD_LIMIT_BYTES
    if head[0] not in KINDS or size > limit:
        raise damaged("there is no frame", offset)
    return chr(head[0]), size


def _exactly(source: Source, size: int, offset: int) -> bytes:
    data = bytearray()
    while len(data) < size:
        more = source.read(min(size - len(data), CHUNK_BYTES))
        if not more:
            raise damaged("the backup is cut off", offset)
        data += more
    return bytes(data)


def _chained(before: bytes, head: bytes, payload: bytes) -> bytes:
    digest = hashlib.sha256(before)
    digest.update(head)
    digest.update(payload)
    return digest.digest()
