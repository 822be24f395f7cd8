"""The limits a plugin runs under, and the wrapper programs that set them.

Wrappers of util-linux and coreutils set limits and priority, since a process that uses gRPC must
not run Python code between fork and exec.
Source: setpriv(1), choom(1), prlimit(1), ionice(1), util-linux 2.38.
"""

from __future__ import annotations

import shutil
from dataclasses import dataclass
from datetime import timedelta

SYSTEM_PATH = "/usr/sbin:/usr/bin:/sbin:/bin"

MIB = 1024 * 1024
_FIRST_TO_GO = 800


@dataclass(frozen=True, slots=True)
class RunLimits:
    """How much of the machine one run of one plugin may use."""

    stdout_bytes: int = MIB
    stderr_bytes: int = 64 * 1024
    processes: int = 64
    memory_bytes: int = 1024 * MIB
    file_bytes: int = 16 * MIB
    open_files: int = 256
    cpu_seconds: int = 60
    kill_after: timedelta = timedelta(seconds=3)
    watch_period: timedelta = timedelta(milliseconds=100)

    def wrapper(self) -> tuple[str, ...]:
        """Return the words to put before a program so that it runs limited and last in line.

        A wrapper that the machine does not have is left out: the watcher holds the limits that
        matter most (time, output, number of processes) by itself.
        """
        words: list[str] = []
        if setpriv := shutil.which("setpriv", path=SYSTEM_PATH):
            # A killed agent takes its plugins along.
            words += [setpriv, "--pdeathsig", "KILL", "--"]
        if choom := shutil.which("choom", path=SYSTEM_PATH):
            # When memory runs out, a plugin goes first and the daemon, or a user's program, last.
            words += [choom, "-n", str(_FIRST_TO_GO), "--"]
        if prlimit := shutil.which("prlimit", path=SYSTEM_PATH):
            words += [prlimit, *self._rlimits(), "--"]
        if nice := shutil.which("nice", path=SYSTEM_PATH):
            words += [nice, "-n", "19"]
        if ionice := shutil.which("ionice", path=SYSTEM_PATH):
            words += [ionice, "-t", "-c", "3"]
        return tuple(words)

    def _rlimits(self) -> tuple[str, ...]:
        return (
            f"--as={self.memory_bytes}",
            f"--cpu={self.cpu_seconds}",
            f"--fsize={self.file_bytes}",
            f"--nofile={self.open_files}",
            "--core=0",
        )
