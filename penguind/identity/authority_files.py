"""The authorities' files: generations of each kind, the highest number is the newest.

In the folder `authority/` of the state folder, for the kinds device-ca, operator-ca and anchor:

    device-ca.pem          the first one's certificate
    device-ca-key.pem      its key, while it is the newest one and not kept elsewhere
    device-ca-2.pem        the second one's, and so on
    anchor-2-cross.pem     the second anchor's key and name, signed by the first

A certificate is written after its key and its cross certificate; with it the new one counts.
"""

from __future__ import annotations

import fcntl
import hashlib
import os
import re
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from penguindome import certs
from penguindome.durable import read_file
from penguindome.errors import NotFound, PreconditionFailed

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

AuthorityKind = Literal["device", "operator", "anchor"]
KINDS: tuple[AuthorityKind, ...] = ("device", "operator", "anchor")
LIMIT_BYTES = 64 << 10

_STEMS: dict[AuthorityKind, str] = {
    "device": "device-ca",
    "operator": "operator-ca",
    "anchor": "anchor",
}
_NAME = re.compile(r"(?P<stem>device-ca|operator-ca|anchor)(?:-(?P<number>[1-9][0-9]{0,3}))?\.pem")


@dataclass(frozen=True, slots=True)
class Generation:
    """One authority: where its files are, and its certificate, PEM."""

    kind: AuthorityKind
    number: int
    folder: Path
    certificate: bytes

    @property
    def path(self) -> Path:
        """Return its certificate's file."""
        return self.folder / f"{stem(self.kind, self.number)}.pem"

    @property
    def key_path(self) -> Path:
        """Return its key's file, which may be missing."""
        return self.folder / f"{stem(self.kind, self.number)}-key.pem"

    @property
    def cross_path(self) -> Path:
        """Return the file of its cross certificate, which the first one has not."""
        return self.folder / f"{stem(self.kind, self.number)}-cross.pem"

    @property
    def cross(self) -> bytes:
        """Return its key and name, signed by the one before it, PEM; empty without one."""
        return read_file(self.cross_path, LIMIT_BYTES) if self.cross_path.exists() else b""

    @property
    def facts(self) -> certs.CertificateFacts:
        """Return what its certificate says."""
        return certs.parse_certificate(self.certificate)

    @property
    def fingerprint(self) -> str:
        """Return what people compare."""
        return certificate_fingerprint(self.certificate)


def authority_dir(state_dir: Path) -> Path:
    """Return the folder of the authorities."""
    return state_dir / "authority"


def stem(kind: AuthorityKind, number: int) -> str:
    """Return how the names of a generation's files begin."""
    return _STEMS[kind] if number == 1 else f"{_STEMS[kind]}-{number}"


def certificate_fingerprint(pem: bytes) -> str:
    """Return the SHA-256 of a certificate's DER, hexadecimal."""
    return hashlib.sha256(certs.pem_to_der(pem)).hexdigest()


def generations(state_dir: Path, kind: AuthorityKind) -> list[Generation]:
    """Return all of a kind, the newest first; none before set-up."""
    folder = authority_dir(state_dir)
    numbers = sorted(_numbers(folder, kind), reverse=True)
    return [Generation(kind, number, folder, _read(folder, kind, number)) for number in numbers]


def newest(state_dir: Path, kind: AuthorityKind) -> Generation:
    """Return the one that issues.

    Raises:
        PreconditionFailed: there is none.
    """
    found = generations(state_dir, kind)
    if not found:
        raise missing(authority_dir(state_dir) / f"{stem(kind, 1)}.pem")
    return found[0]


def stamp(state_dir: Path) -> tuple[tuple[str, int, int, int], ...]:
    """Return what changes whenever a certificate of an authority changes; cheap."""
    try:
        with os.scandir(authority_dir(state_dir)) as entries:
            facts = [(one.name, one.stat()) for one in entries if _NAME.fullmatch(one.name)]
    except OSError:
        return ()
    return tuple(sorted((name, s.st_mtime_ns, s.st_ino, s.st_size) for name, s in facts))


@contextmanager
def alone(state_dir: Path) -> Iterator[None]:
    """Wait until no other process changes the authorities."""
    flags = os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC
    descriptor = os.open(authority_dir(state_dir), flags)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        os.close(descriptor)


def missing(path: Path) -> PreconditionFailed:
    """Return the error about a file that must be there."""
    return PreconditionFailed(
        "the file is missing",
        code="authority-missing",
        subject=str(path),
        remedy="run penguind setup, or restore the state folder from a backup",
    )


def read_needed(path: Path) -> bytes:
    """Return a file's content.

    Raises:
        PreconditionFailed: it is missing.
    """
    try:
        return read_file(path, LIMIT_BYTES)
    except NotFound:
        raise missing(path) from None


def _read(folder: Path, kind: AuthorityKind, number: int) -> bytes:
    return read_needed(folder / f"{stem(kind, number)}.pem")


def _numbers(folder: Path, kind: AuthorityKind) -> list[int]:
    if not folder.is_dir():
        return []
    found = [_NAME.fullmatch(path.name) for path in folder.iterdir()]
    return [int(one["number"] or 1) for one in found if one and one["stem"] == _STEMS[kind]]
