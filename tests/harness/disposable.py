"""A machine that may be destroyed: its own mounts, processes and hostname, on a tmpfs.

Nothing of the real machine is within reach but the programs of /usr and this checkout, read-only:
its process 1 lets go of the old root before anything else runs there.
"""

import hashlib
import os
import pathlib
import stat
import subprocess
import sys
import tempfile
from typing import Any, Self

from tests.harness.disposable_init import HOSTNAME, NAMESPACES
from tests.harness.process import ROOT, wait_until

__all__ = ["HOSTNAME", "Disposable", "Listing"]

TIMEOUT = 60
# Path: (inode, mode, uid, what is in it).
Listing = dict[str, tuple[int, int, int, str]]
_PASSED_OVER = ("proc", "usr", ROOT.parts[1], "bin", "sbin", "lib", "lib64", "dev")


class Disposable:
    """One such machine, from `with` to its end."""

    def __init__(self) -> None:
        """Start it, and wait until it is alone."""
        self._folder = pathlib.Path(tempfile.mkdtemp(prefix="pd", dir="/tmp"))
        outer = ",".join(
            str(pathlib.Path(f"/proc/self/ns/{name}").readlink()) for name in NAMESPACES
        )
        init = ROOT / "tests/harness/disposable_init.py"
        words = ["unshare", "--mount", "--pid", "--fork", "--kill-child", "--uts", "--ipc", "--net"]
        words += [sys.executable, "-I", str(init), str(self._folder), outer, "/usr", str(ROOT)]
        self.process = subprocess.Popen(
            words, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )
        assert self.process.stdout is not None
        assert self.process.stdout.readline() == "ready\n"
        children = pathlib.Path(f"/proc/{self.process.pid}/task/{self.process.pid}/children")
        self.pid = int(children.read_text().split()[0])
        self.root = pathlib.Path(f"/proc/{self.pid}/root")
        # Whatever else goes wrong: nothing runs there before this is another root than ours.
        assert self.root.stat().st_dev != pathlib.Path("/").stat().st_dev
        assert self.run("pwd") == "/\n"

    def __enter__(self) -> Self:
        """Return it."""
        return self

    def __exit__(self, *_error: object) -> None:
        """End it with everything that runs there."""
        assert self.process.stdin is not None
        assert self.process.stdout is not None
        self.process.stdin.close()
        self.process.wait(TIMEOUT)
        self.process.stdout.close()
        self._folder.rmdir()

    def words(self, *words: object) -> list[str]:
        """Return the words that run a program there."""
        enter = ["nsenter", f"--target={self.pid}", "--mount", "--pid", "--uts", "--ipc", "--net"]
        clean = ["env", "-i", "PATH=/usr/sbin:/usr/bin:/sbin:/bin", "PYTHONDONTWRITEBYTECODE=1"]
        clean.append(f"PYTHONPATH={ROOT}:{ROOT}/proto:{ROOT}/penguin-agent")
        return [*enter, "--root", "--wd", "--", *clean, *map(str, words)]

    def try_run(self, *words: object, **options: Any) -> subprocess.CompletedProcess[str]:
        """Run a program there to its end, whatever that is."""
        line = self.words(*words)
        return subprocess.run(
            line, capture_output=True, text=True, timeout=TIMEOUT, check=False, **options
        )

    def run(self, *words: object, **options: Any) -> str:
        """Run a program there; return what it printed."""
        done = self.try_run(*words, **options)
        assert done.returncode == 0, done.stderr
        return done.stdout

    def shell(self, script: str) -> str:
        """Run a script there."""
        return self.run("sh", "-euc", script)

    def path(self, name: str) -> pathlib.Path:
        """Return where we see a file of that machine."""
        return self.root / name.lstrip("/")

    def put(self, name: str, data: bytes, mode: int = 0o600) -> None:
        """Write one of root's files there."""
        path = self.path(name)
        path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        path.write_bytes(data)
        path.chmod(mode)

    def listing(self) -> Listing:
        """Return every file of that machine."""
        found: Listing = {}
        for top, folders, files in os.walk(self.root):
            if pathlib.Path(top) == self.root:
                folders[:] = [name for name in folders if name not in _PASSED_OVER]
            for name in (*folders, *files):
                path = pathlib.Path(top, name)
                found["/" + str(path.relative_to(self.root))] = _entry(path)
        return found

    def wait_until_down(self) -> int:
        """Wait until it goes down by itself; return by which signal, as a negative number."""
        wait_until(lambda: self.process.poll() is not None, TIMEOUT, "it is still up")
        return self.process.wait()


def _entry(path: pathlib.Path) -> tuple[int, int, int, str]:
    found = path.lstat()
    inside = ""
    if stat.S_ISLNK(found.st_mode):
        inside = str(path.readlink())
    elif stat.S_ISREG(found.st_mode):
        inside = hashlib.sha256(path.read_bytes()).hexdigest()
    return found.st_ino, found.st_mode, found.st_uid, inside
