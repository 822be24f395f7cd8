"""A line about long work, for a person who waits at a terminal.

It stands on standard error, from the second second on, and leaves nothing behind. Who interrupts
work that has steps is told how far it came.
"""

from __future__ import annotations

import shutil
import sys
import threading
import time
from typing import TYPE_CHECKING, TypeVar

from penguinctl import ui, view

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from types import TracebackType
    from typing import Self

T = TypeVar("T")
R = TypeVar("R")

_SILENT_SECONDS = 1.0
_PAUSE_SECONDS = 0.2
_ERASE = "\r\x1b[K"


class Progress:
    """Work on the way; `with Progress("Closing issues", 5000) as work: work.step(500)`."""

    def __init__(self, label: str, total: int = 0) -> None:
        """Take what is done, for people, and in how many steps; 0 where that is not known."""
        self._label = label
        self._total = total
        self._done = 0
        self._begun = time.monotonic()
        self._ended = threading.Event()
        self._shown = False
        self._thread: threading.Thread | None = None

    def step(self, count: int = 1) -> None:
        """Note that so many steps more are done."""
        self._done += count

    def __enter__(self) -> Self:
        """Begin to show it, if somebody can see it."""
        if sys.stderr.isatty() and ui.obeys_sequences() and not view.current().watching:
            self._thread = threading.Thread(target=self._show, daemon=True)
            self._thread.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        _trace: TracebackType | None,
    ) -> None:
        """Take the line away; after an interruption, say how far it came."""
        self._ended.set()
        if self._thread:
            self._thread.join()
        if self._shown:
            sys.stderr.write(_ERASE)
            sys.stderr.flush()
        if error is not None and self._total > 1:
            ui.note(f"{self._label}: stopped after {self._done:,} of {self._total:,}.")

    def _show(self) -> None:
        pause = _SILENT_SECONDS
        while not self._ended.wait(pause):
            pause = _PAUSE_SECONDS
            self._shown = True
            sys.stderr.write(f"{_ERASE}{self._line()[: shutil.get_terminal_size().columns - 1]}")
            sys.stderr.flush()

    def _line(self) -> str:
        seconds = int(time.monotonic() - self._begun)
        if not self._total:
            return (
                f"{self._label}: {self._done:,}, {seconds} s"
                if self._done
                else (f"{self._label}: {seconds} s")
            )
        share = 100 * self._done // self._total
        return f"{self._label}: {self._done:,} of {self._total:,} ({share} %), {seconds} s"


def over(label: str, items: Sequence[T], act: Callable[[T], R]) -> list[R]:
    """Do something with each item, show how far it came, and return the results."""
    results = []
    with Progress(label, len(items)) as work:
        for item in items:
            results.append(act(item))
            work.step()
    return results
