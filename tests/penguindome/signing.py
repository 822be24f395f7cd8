"""Real OpenPGP keys in throw-away homes, for tests that sign."""

from __future__ import annotations

import os
import shutil
import subprocess
import tempfile
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

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
        return [row[9] for before, row in zip(rows, rows[1:], strict=False) if before[0] == "pub"]


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
