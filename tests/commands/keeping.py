"""What the tests of backups need besides penguind: an OpenPGP key pair of a keeper of backups."""

import contextlib
import pathlib
import subprocess
import tempfile
from collections.abc import Iterator

_WORDS = ("gpg", "--batch", "--quiet", "--no-options", "--pinentry-mode", "loopback")


class Keeper:
    """Somebody who can decrypt backups; the server has only the public key."""

    def __init__(self, home: pathlib.Path) -> None:
        """Make the key."""
        self._home = home
        self.run("--passphrase", "", "--quick-generate-key", "keeper", "rsa2048", "encr", "never")
        self.key = home / "public.asc"
        self.key.write_bytes(self.run("--armor", "--export"))
        self.key.chmod(0o644)

    def run(self, *words: object) -> bytes:
        """Run gpg and return what it printed."""
        line = [*_WORDS, "--homedir", self._home, *words]
        return subprocess.run(line, check=True, capture_output=True, timeout=30).stdout

    def close(self) -> None:
        """End the key's agent."""
        words = ["gpgconf", "--homedir", self._home, "--kill", "all"]
        subprocess.run(words, check=False, capture_output=True, timeout=20)


@contextlib.contextmanager
def keeper() -> Iterator[Keeper]:
    """Yield a keeper; nothing is left of it."""
    with tempfile.TemporaryDirectory(prefix="pd", dir="/tmp") as home:
        pathlib.Path(home).chmod(0o711)
        made = Keeper(pathlib.Path(home))
        try:
            yield made
        finally:
            made.close()
