"""A program at a terminal of its own, with a stopwatch: what is typed, and when what is shown."""

from __future__ import annotations

import os
import select
import signal
import subprocess
import termios
import time
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from typing import Self

LOOK_BYTES = 256 * 1024


class Terminal:
    """One program at a pseudo-terminal of 80 by 24."""

    def __init__(self, words: Sequence[str], env: Mapping[str, str]) -> None:
        """Start it."""
        self.descriptor, theirs = os.openpty()
        termios.tcsetwinsize(theirs, (24, 80))
        self.started = time.perf_counter()
        self._process = subprocess.Popen(
            ["/usr/bin/setsid", "--ctty", *words],
            stdin=theirs, stdout=theirs, stderr=theirs, env=dict(env), cwd="/",
        )  # fmt: skip
        os.close(theirs)
        self.shown = b""

    def __enter__(self) -> Self:
        """Use it."""
        return self

    def __exit__(self, *_: object) -> None:
        """End the program."""
        if not self.is_over:
            os.kill(self.pid, signal.SIGTERM)
        end = time.monotonic() + 10
        while not self.is_over and time.monotonic() < end:
            self.look(0.05)
        if not self.is_over:
            os.kill(self.pid, signal.SIGKILL)
            self._process.wait(10)
        os.close(self.descriptor)

    @property
    def pid(self) -> int:
        """Return the program's process id."""
        return self._process.pid

    @property
    def is_over(self) -> bool:
        """Tell whether the program has ended."""
        return self._process.poll() is not None

    def type(self, data: bytes) -> None:
        """Type bytes."""
        os.write(self.descriptor, data)

    def look(self, seconds: float, size: int = LOOK_BYTES) -> bytes:
        """Return what is shown now, b"" after so many seconds without."""
        if not select.select([self.descriptor], [], [], seconds)[0]:
            return b""
        try:
            return os.read(self.descriptor, size)
        except OSError:
            return b""

    def see(self, text: bytes, seconds: float = 60) -> int:
        """Read until a text was shown; returns how many bytes were.

        Raises:
            TimeoutError: It was not.
        """
        end, count, tail = time.monotonic() + seconds, 0, b""
        while text not in tail:
            if time.monotonic() > end:
                raise TimeoutError(f"{text!r} was not shown: {tail[-300:]!r}")
            data = self.look(1.0)
            count += len(data)
            tail = (tail + data)[-len(data) - len(text) :]
        return count

    def quiet(self, seconds: float = 0.2) -> None:
        """Read until nothing is shown any more."""
        while self.look(seconds):
            pass
