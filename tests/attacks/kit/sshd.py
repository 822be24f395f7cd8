"""An sshd of our own on this machine: passwords and keys are given to it from within sessions."""

from __future__ import annotations

import subprocess
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from tests.harness.ports import free_port
from tests.harness.process import ENDS_WITH_US, wait_until

if TYPE_CHECKING:
    from collections.abc import Iterator

SETTINGS = """
ListenAddress 127.0.0.1
Port {port}
HostKey {folder}/host
PidFile none
UsePAM no
StrictModes no
PermitRootLogin yes
PasswordAuthentication yes
AuthorizedKeysFile {folder}/key.pub
"""
CLIENT = "ssh -F none -o UserKnownHostsFile=/dev/null -o StrictHostKeyChecking=no -o LogLevel=ERROR"


@contextmanager
def sshd(folder: Path) -> Iterator[str]:
    """Run one; lends the line that becomes root there by a key, to which more may be added."""
    port = free_port()
    for name in ("host", "key"):
        make = ["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", str(folder / name)]
        subprocess.run(make, check=True, timeout=20)
    settings = folder / "sshd_config"
    settings.write_text(SETTINGS.format(port=port, folder=folder), encoding="utf-8")
    # Where it locks itself in; the unit that makes this may not be there.
    Path("/run/sshd").mkdir(mode=0o755, exist_ok=True)
    line = ["setpriv", ENDS_WITH_US, "--", "/usr/sbin/sshd", "-D", "-e", "-f", str(settings)]
    with subprocess.Popen(line, stderr=subprocess.PIPE, text=True) as process:
        try:
            assert process.stderr is not None
            said = process.stderr.readline()
            assert "Server listening" in said, said
            yield f"{CLIENT} -i {folder}/key -p {port}"
        finally:
            process.terminate()
            wait_until(lambda: process.poll() is not None, 10, "sshd does not end")
