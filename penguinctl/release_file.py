r"""A release in one file: what it says, who signed it, and all of its contents.

One line of JSON, {"format": "penguindome-release-1", "body": …, "envelope": …}, a line feed, then
the contents, each once, sorted by their hashes. The envelope is there once somebody signed. The
same tree and settings give the same bytes.

Trust: a file may come from anywhere. Its contents are held against their hashes when it is read,
and what is signed is read from the signed bytes alone.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from penguindome.durable import read_file, write_file
from penguindome.envelope import Envelope
from penguindome.errors import InvalidInput
from penguindome.orders.manifest import TREE_LIMIT_BYTES
from penguindome.orders.release_body import ReleaseBody, release_body
from penguindome.payload import read_payload
from penguindome.strict_json import JsonLimits, canonical_json, parse_json

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

FORMAT = "penguindome-release-1"
_HEADER_LIMIT_BYTES = 2 * 1024 * 1024
_LIMITS = JsonLimits(size_bytes=_HEADER_LIMIT_BYTES, depth=16)


@dataclass(frozen=True, slots=True)
class ReleaseFile:
    """A release on an operator's machine.

    Attributes:
        body: What it says.
        contents: By SHA-256.
        envelope: What was signed; None before.
    """

    body: ReleaseBody
    contents: Mapping[str, bytes]
    envelope: Envelope | None = None

    @property
    def manifest_hash(self) -> str:
        """Return the SHA-256 of what the release says, in hexadecimal digits."""
        return hashlib.sha256(canonical_json(self.body.to_json())).hexdigest()

    @property
    def size_bytes(self) -> int:
        """Return how much all files are together."""
        return sum(one.size for one in self.body.files)

    def signed(self, envelope: Envelope) -> ReleaseFile:
        """Return it with what was signed.

        Raises:
            InvalidInput: The envelope says something else.
        """
        if envelope.kind != "release":
            raise _bad("what was signed is no release")
        said = release_body(read_payload(envelope.payload).body)
        if said.to_json() != self.body.to_json():
            raise _bad("what was signed is another release")
        return replace(self, envelope=envelope)


def read(path: Path) -> ReleaseFile:
    """Read a release from a file.

    Raises:
        InvalidInput: It is none, or a content is not what its hash says.
        NotFound: There is no such file.
    """
    data = read_file(path, TREE_LIMIT_BYTES + _HEADER_LIMIT_BYTES)
    line, _, rest = data.partition(b"\n")
    try:
        return _parsed(line, rest)
    except InvalidInput as error:
        raise InvalidInput(
            error.reason,
            code="bad-release-file",
            subject=str(path),
            remedy="Build it again with penguinctl release build",
        ) from None


def write(path: Path, release: ReleaseFile) -> None:
    """Write a release to a file, whole or not at all."""
    write_file(path, to_bytes(release), 0o644)


def to_bytes(release: ReleaseFile) -> bytes:
    """Return the file's bytes."""
    header: dict[str, Any] = {"format": FORMAT, "body": release.body.to_json()}
    if release.envelope is not None:
        header["envelope"] = {
            "payload": base64.b64encode(release.envelope.payload).decode(),
            "signatures": [base64.b64encode(one).decode() for one in release.envelope.signatures],
        }
    contents = (release.contents[digest] for digest in sorted(release.contents))
    return b"".join((canonical_json(header), b"\n", *contents))


def _parsed(line: bytes, rest: bytes) -> ReleaseFile:
    try:
        header = parse_json(line, _LIMITS)
    except InvalidInput:
        header = None
    if not isinstance(header, dict) or header.get("format") != FORMAT:
        raise _bad("this is no release")
    body = release_body(header.get("body"))
    found = ReleaseFile(body, _contents(body, rest))
    if "envelope" not in header:
        return found
    return found.signed(_envelope(header["envelope"]))


def _contents(body: ReleaseBody, rest: bytes) -> dict[str, bytes]:
    sizes = {one.sha256: one.size for one in body.files}
    contents, start = {}, 0
    for digest in sorted(sizes):
        data = rest[start : start + sizes[digest]]
        start += sizes[digest]
        if hashlib.sha256(data).hexdigest() != digest:
            raise _bad("a content is not the one that belongs here")
        contents[digest] = data
    if start != len(rest):
        raise _bad("something follows the last content")
    return contents


def _envelope(value: Any) -> Envelope:
    try:
        payload = base64.b64decode(value["payload"], validate=True)
        signatures = tuple(base64.b64decode(one, validate=True) for one in value["signatures"])
    except (KeyError, TypeError, ValueError, binascii.Error):
        raise _bad("its envelope is malformed") from None
    return Envelope("release", payload, signatures)


def _bad(reason: str) -> InvalidInput:
    return InvalidInput(reason, code="bad-release-file")
