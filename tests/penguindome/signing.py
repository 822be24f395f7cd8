"""Real OpenPGP keys in throw-away homes, for tests that sign."""

from __future__ import annotations

import os
import shutil
import subprocess
import tempfile
from contextlib import contextmanager
from dataclasses import replace
from datetime import timedelta
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING, Any

from penguindome.envelope import Envelope, make_payload, signed_bytes
from penguindome.ids import new_fleet_id, new_ulid
from penguindome.times import utc_now
from penguindome.trust import ROLES, Role, TrustDocument, first_version, to_payload

if TYPE_CHECKING:
    from collections.abc import Iterator

TIMEOUT = 60


class Home:
    """A GnuPG home with keys that need no passphrase."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def gpg(self, *arguments: str, data: bytes = b"", faked_time: str = "") -> bytes:
        command = ["gpg", "--homedir", str(self.path), "--batch", "--no-tty", "--quiet", "--yes"]
        command += ["--pinentry-mode", "loopback", "--passphrase", "", "--no-auto-key-retrieve"]
        if faked_time:
            command += ["--faked-system-time", faked_time]
        done = subprocess.run(
            [*command, *arguments],
            input=data,
            capture_output=True,
            timeout=TIMEOUT,
            env={"PATH": os.environ["PATH"], "LC_ALL": "C"},
            check=False,
        )
        if done.returncode:
            raise RuntimeError(done.stderr.decode("utf-8", "replace"))
        return done.stdout

    def make(self, name: str, expires: str = "never", faked_time: str = "") -> str:
        """Make a key; return its fingerprint."""
        before = set(self._fingerprints())
        user = f"{name} <{name}@example.org>"
        arguments = ("--quick-generate-key", user, "ed25519", "sign", expires)
        self.gpg(*arguments, faked_time=faked_time)
        (fingerprint,) = set(self._fingerprints()) - before
        return fingerprint

    def export(self, fingerprint: str) -> bytes:
        return self.gpg("--export", "--export-options", "export-minimal", fingerprint)

    def sign(self, fingerprint: str, data: bytes, *options: str, faked_time: str = "") -> bytes:
        arguments = ("--local-user", fingerprint, *options)
        if not {"--sign", "--clear-sign"} & set(options):
            arguments += ("--detach-sign",)
        return self.gpg(*arguments, data=data, faked_time=faked_time)

    def revoke(self, fingerprint: str) -> None:
        certificate = self.path / "openpgp-revocs.d" / f"{fingerprint}.rev"
        self.gpg("--import", data=certificate.read_bytes().replace(b":-----BEGIN", b"-----BEGIN"))

    def _fingerprints(self) -> list[str]:
        listing = self.gpg("--list-keys", "--with-colons").decode().split("\n")
        rows = [line.split(":") for line in listing]
        return [row[9] for before, row in pairwise(rows) if before[0] == "pub"]


@contextmanager
def gpg_home() -> Iterator[Home]:
    """Lend a home; afterwards no gpg-agent and no file is left."""
    path = Path(tempfile.mkdtemp(prefix="pd", dir="/tmp"))
    try:
        yield Home(path)
    finally:
        command = ["gpgconf", "--homedir", str(path), "--kill", "all"]
        subprocess.run(command, check=False, timeout=TIMEOUT, capture_output=True)
        shutil.rmtree(path, ignore_errors=True)


class Fleet:
    """Operators with keys, and the trust documents that they could sign."""

    def __init__(self, home: Home) -> None:
        self.home = home
        self.id = new_fleet_id()
        self.now = utc_now().replace(microsecond=0)
        self.keys = {name: home.make(name) for name in ("alice", "bob", "carol", "mallory")}
        self._blobs = {name: home.export(key) for name, key in self.keys.items()}

    def blob(self, name: str) -> bytes:
        return self._blobs[name]

    def document(self, *names: str, threshold: int = 1, **changes: Any) -> TrustDocument:
        """Return version 1 with these operators in every role."""
        fingerprints = tuple(self.keys[name] for name in names)
        first = first_version(
            fleet=self.id,
            fingerprint=fingerprints[0],
            public_key=self.blob(names[0]),
            operator_name=names[0],
            tls_anchors=[b"anchor"],
            server_names=["server.example.org"],
            now=self.now,
        )
        role = Role(threshold, fingerprints)
        whole = replace(
            first,
            keys={self.keys[name]: self.blob(name) for name in names},
            operators={self.keys[name]: name for name in names},
            roles=dict.fromkeys(ROLES, role),
        )
        return replace(whole, **changes)

    def sign(self, kind: str, payload: bytes, *names: str) -> Envelope:
        data = signed_bytes(kind, payload)
        signatures = tuple(self.home.sign(self.keys[name], data) for name in names)
        return Envelope(kind, payload, signatures)

    def publish(self, document: TrustDocument, *names: str) -> Envelope:
        return self.sign("trust", to_payload(document), *names)

    def order(self, device: str | None, kind: str = "command", **changes: Any) -> bytes:
        """Return the payload of an order that is valid now."""
        fields: dict[str, Any] = {
            "fleet": self.id,
            "kind": kind,
            "id": new_ulid(self.now),
            "issued_time": self.now,
            "not_before_time": self.now,
            "expires_time": self.now + timedelta(hours=1),
            "devices": None if device is None else [device],
            "reason": "a test",
            "by": "alice",
            "body": {"words": ["true"]},
        }
        return make_payload(**(fields | changes))
