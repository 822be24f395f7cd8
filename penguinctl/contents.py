"""Contents of releases and patches on their way to the server, and back."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING, Any

from penguinctl import wire
from penguinctl.exits import NotVerified
from penguinctl.progress import Progress
from penguindome.orders.manifest import FILE_LIMIT_BYTES

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from penguinctl.app import App
    from penguindome.v1 import release_pb2

_PIECE_BYTES = 256 * 1024
_ASKED = 2_000
_UPLOAD_SECONDS = 600.0


def upload_missing(app: App, contents: Mapping[str, bytes]) -> int:
    """Upload what the server does not hold; returns how many contents that were.

    Args:
        app: The running command.
        contents: By SHA-256.

    Raises:
        PenguinDomeError: What the server answered, or why it could not be reached.
    """
    missing = _missing(app, sorted(contents))
    total = sum(len(contents[one]) for one in missing)
    with Progress("Uploading bytes", total) as work:
        for digest in missing:
            messages = _messages(digest, contents[digest], work.step)
            app.session.call("release.UploadBlob", messages, timeout_seconds=_UPLOAD_SECONDS)
    return len(missing)


def download(app: App, digest: str) -> bytes:
    """Return a content that the server holds.

    Raises:
        NotVerified: What came is another one.
        PenguinDomeError: What the server answered, or why it could not be reached.
    """
    request = wire.release_pb2.DownloadBlobRequest(sha256=bytes.fromhex(digest))
    data = bytearray()
    with app.stream("release.DownloadBlob", request) as pieces:
        for piece in pieces:
            data += piece.data
            if len(data) > FILE_LIMIT_BYTES:
                break
    if hashlib.sha256(data).hexdigest() != digest:
        raise NotVerified(
            "the server sent another content than the one that was asked for",
            subject=digest,
            remedy="Do not trust the server before you know why",
        )
    return bytes(data)


def _missing(app: App, digests: list[str]) -> list[str]:
    found: list[str] = []
    for start in range(0, len(digests), _ASKED):
        asked = [bytes.fromhex(one) for one in digests[start : start + _ASKED]]
        request = wire.release_pb2.FindMissingBlobsRequest(sha256=asked)
        found += [one.hex() for one in app.call("release.FindMissingBlobs", request).sha256]
    # Only what is ours to give.
    return sorted(set(found) & set(digests))


def _messages(
    digest: str, data: bytes, step: Callable[[int], None]
) -> Iterator[release_pb2.UploadBlobRequest]:
    """Yield the pieces of one content, each made when the connection takes it."""
    first: dict[str, Any] = {"sha256": bytes.fromhex(digest), "size": len(data)}
    for start in range(0, max(len(data), 1), _PIECE_BYTES):
        piece = data[start : start + _PIECE_BYTES]
        yield wire.release_pb2.UploadBlobRequest(data=piece, **first)
        step(len(piece))
        first = {}
