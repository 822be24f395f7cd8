"""Hand bytes that were verified to the kernel to run, so that nobody can change them in between.

They are written into memory that is sealed, and run as /proc/self/fd/N. Where a machine forbids
that (vm.memfd_noexec), they are copied into a folder of their own instead, which is root's alone.
Source: memfd_create(2), fcntl(2) "File Sealing", Linux 6.3's MFD_EXEC.
"""

from __future__ import annotations

import fcntl
import os
import secrets
import subprocess
from contextlib import contextmanager
from typing import TYPE_CHECKING

from logbook import Logger

from penguin_agent.collect.runner import Program
from penguindome.durable import make_private_dir

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

log = Logger(__name__)

MFD_EXEC = 0x10
_SEALS = fcntl.F_SEAL_WRITE | fcntl.F_SEAL_SHRINK | fcntl.F_SEAL_GROW | fcntl.F_SEAL_SEAL
_PROBE = b"#!/bin/sh\nexit 0\n"
_PROBE_SECONDS = 20


class Programs:
    """Lends programs made of bytes.

    Args:
        copies: The folder for copies where memory cannot be run; not on a noexec mount.
        sealed: Whether memory is tried at all.
    """

    def __init__(self, copies: Path, *, sealed: bool = True) -> None:
        self._copies = copies
        self._sealed = None if sealed else False

    def find_out(self) -> bool:
        """Tell whether sealed memory can be run here; a process is started the first time."""
        if self._sealed is None:
            self._sealed = _can_run_memory()
            if not self._sealed:
                log.warning("Sealed memory cannot be run here: plugins run from private copies")
        return self._sealed

    @property
    def is_sealed(self) -> bool:
        """Tell the same, as far as is known."""
        return self._sealed is not False

    @contextmanager
    def lent(self, name: str, data: bytes) -> Iterator[Program]:
        """Lend a program until it ended.

        Args:
            name: A word for it, without slashes.
            data: Its bytes.
        """
        with _in_memory(name, data) if self.find_out() else self._copied(name, data) as program:
            yield program

    @contextmanager
    def _copied(self, name: str, data: bytes) -> Iterator[Program]:
        make_private_dir(self._copies)
        path = self._copies / f"{name}-{secrets.token_hex(8)}"
        flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
        try:
            with os.fdopen(os.open(path, flags, 0o500), "wb") as file:
                file.write(data)
            yield Program(str(path))
        finally:
            path.unlink(missing_ok=True)


@contextmanager
def _in_memory(name: str, data: bytes) -> Iterator[Program]:
    writable = _create(name)
    try:
        with os.fdopen(os.dup(writable), "wb") as file:
            file.write(data)
        fcntl.fcntl(writable, fcntl.F_ADD_SEALS, _SEALS)
        # The child gets a descriptor that can only be read.
        readable = os.open(f"/proc/self/fd/{writable}", os.O_RDONLY | os.O_CLOEXEC)
    finally:
        os.close(writable)
    try:
        yield Program(f"/proc/self/fd/{readable}", (readable,))
    finally:
        os.close(readable)


def _create(name: str) -> int:
    flags = os.MFD_CLOEXEC | os.MFD_ALLOW_SEALING
    try:
        return os.memfd_create(name[:64], flags | MFD_EXEC)
    except OSError:
        # A kernel before 6.3, where all such memory can be run.
        return os.memfd_create(name[:64], flags)


def _can_run_memory() -> bool:
    try:
        with _in_memory("probe", _PROBE) as program:
            done = subprocess.run(
                [program.path],
                check=False,
                stdin=subprocess.DEVNULL,
                capture_output=True,
                pass_fds=program.pass_fds,
                timeout=_PROBE_SECONDS,
                cwd="/",
                env={},
            )
    except (OSError, subprocess.SubprocessError):
        return False
    return done.returncode == 0
