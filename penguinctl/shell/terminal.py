"""The operator's own terminal: raw while a session runs, as it was whatever happens."""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import sys
import termios
import tty
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

DEFAULT_SIZE = (80, 24)


def size() -> tuple[int, int]:
    """Return the terminal's columns and rows."""
    found = shutil.get_terminal_size(DEFAULT_SIZE)
    return found.columns, found.lines


class Terminal:
    """Standard input as a terminal that can be raw."""

    def __init__(self, descriptor: int = 0) -> None:
        self._descriptor = descriptor
        self._before = termios.tcgetattr(descriptor)

    @contextlib.contextmanager
    def raw(self) -> Iterator[None]:
        """Make it raw for a block; a signal that ends us restores it, too."""
        former = {
            number: signal.signal(number, self._end) for number in (signal.SIGTERM, signal.SIGHUP)
        }
        try:
            self._make_raw()
            yield
        finally:
            self.restore()
            for number, handler in former.items():
                signal.signal(number, handler)

    def restore(self) -> None:
        """Make it what it was, at once: one that was stopped may never take what waits for it."""
        with contextlib.suppress(termios.error):
            termios.tcsetattr(self._descriptor, termios.TCSANOW, self._before)

    def suspend(self) -> None:
        """Stop this program until the shell that started it goes on with it."""
        self.restore()
        former = signal.signal(signal.SIGTSTP, signal.SIG_DFL)
        os.kill(0, signal.SIGTSTP)
        signal.signal(signal.SIGTSTP, former)
        self._make_raw()

    def _make_raw(self) -> None:
        tty.setraw(self._descriptor, termios.TCSADRAIN)

    def _end(self, number: int, _frame: object) -> None:
        self.restore()
        signal.signal(number, signal.SIG_DFL)
        os.kill(os.getpid(), number)


def say(text: str) -> None:
    """Write a line of our own while the terminal is raw."""
    sys.stderr.write(f"\r\n{text}\r\n")
    sys.stderr.flush()
