"""An OpenSSH server of one's own on a loopback port, to measure ourselves against."""

from __future__ import annotations

import getpass
import subprocess
from pathlib import Path
from typing import TYPE_CHECKING

from tests.harness import ports
from tests.harness.process import Process, environment

if TYPE_CHECKING:
    from typing import Self

SSHD = "/usr/sbin/sshd"
_SERVER = """
Port {port}
ListenAddress 127.0.0.1
HostKey {folder}/host
AuthorizedKeysFile {folder}/user.pub
PidFile none
UsePAM no
StrictModes no
PermitRootLogin prohibit-password
PasswordAuthentication no
PrintMotd no
PrintLastLog no
"""
_CLIENT = """
Host near far
  HostName 127.0.0.1
  Port {port}
  User {user}
  IdentityFile {folder}/user
  IdentitiesOnly yes
  StrictHostKeyChecking no
  UserKnownHostsFile {folder}/known
  LogLevel ERROR
Host far
  ProxyJump near
"""


class LoopbackSsh:
    """A server with keys of its own; `near` is one hop away, `far` goes through it once more."""

    def __init__(self, folder: Path) -> None:
        """Make keys and settings in a folder that is there."""
        self._folder = folder
        self._port = ports.free_port()
        self._process: Process | None = None
        known = {"port": self._port, "folder": folder, "user": getpass.getuser()}
        (folder / "server").write_text(_SERVER.format(**known), encoding="utf-8")
        (folder / "client").write_text(_CLIENT.format(**known), encoding="utf-8")
        for name in ("host", "user"):
            words = ["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", str(folder / name)]
            subprocess.run(words, check=True)

    def __enter__(self) -> Self:
        """Start the server."""
        # Where it puts children without privileges; it does not start without.
        Path("/run/sshd").mkdir(mode=0o755, exist_ok=True)
        words = [SSHD, "-D", "-e", "-f", str(self._folder / "server")]
        self._process = Process(words, self._folder / "log", environment())
        self._process.wait_until(lambda: ports.listens(self._port), 10, "sshd does not listen")
        return self

    def __exit__(self, *_: object) -> None:
        """End it."""
        if self._process is not None:
            self._process.stop()

    def words(self, host: str, *command: str) -> list[str]:
        """Return the line for a terminal on `near` or `far`."""
        return ["ssh", "-F", str(self._folder / "client"), "-tt", host, *command]
