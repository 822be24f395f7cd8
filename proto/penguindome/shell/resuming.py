"""Carry sealed frames over links that are lost and come back, without losing or repeating one.

The sender keeps what the other end has not said to have, and stops at a window: so this is
bounded, and so is what waits on the way. After a loss each end says how many frames it has,
and the other one sends again from there. Pure: no clock, no wire.
"""

from __future__ import annotations

from collections import deque
from typing import TYPE_CHECKING

from penguindome.errors import Forbidden
from penguindome.shell.sealing import OVERHEAD_BYTES, frame_count

if TYPE_CHECKING:
    from collections.abc import Iterator

# What may be under way to the operator: the price of a long path, and of Ctrl-C behind a flood.
WINDOW_BYTES = 512 * 1024
# The same to the device: what is typed, or copied there.
INPUT_WINDOW_BYTES = 64 * 1024
# How much is taken in before the other end is told, as a share of its window.
_SHARE = 4
ACKNOWLEDGE_BYTES = WINDOW_BYTES // _SHARE
ACKNOWLEDGE_INPUT_BYTES = INPUT_WINDOW_BYTES // _SHARE


class Outgoing:
    """Frames on their way out, in order."""

    def __init__(self, window_bytes: int = WINDOW_BYTES) -> None:
        self._window = window_bytes
        self._kept: deque[bytes] = deque()
        self._bytes = 0
        self._first = 0

    @property
    def room(self) -> int:
        """Return how many bytes may be sent now; at most 0 when the window is full."""
        return self._window - self._bytes

    @property
    def is_settled(self) -> bool:
        """Tell whether the other end has everything."""
        return not self._kept

    def put(self, sealed: bytes) -> None:
        """Keep a frame that is sent now; small ones may go beyond the window."""
        self._kept.append(sealed)
        self._bytes += len(sealed)

    def acknowledged(self, count: int) -> None:
        """Forget what the other end has: the first `count` frames of the session.

        Raises:
            Forbidden: It claims frames that were never sent.
        """
        if count > self._first + len(self._kept):
            raise Forbidden(
                "the other end claims frames that it cannot have", code="shell-tampered"
            )
        for _ in range(count - self._first):
            self._bytes -= len(self._kept.popleft())
            self._first += 1

    def again(self) -> Iterator[bytes]:
        """Return what has to be sent again over a new link, in order."""
        return iter(tuple(self._kept))


class Incoming:
    """Frames on their way in: tells which are new, and when to acknowledge.

    Over one link only what was used is acknowledged, so that a slow reader holds up the sender and
    nothing piles up between them; after a loss `count` says what is here, used or not.
    """

    def __init__(self, acknowledge_bytes: int = ACKNOWLEDGE_BYTES) -> None:
        self._every = acknowledge_bytes
        self._unsaid = 0
        self._unused: deque[int] = deque()
        self._used_bytes = 0
        self.count = 0

    def is_new(self, sealed: bytes) -> bool:
        """Tell whether a frame is a new one; one that came over a former link is not."""
        if 0 <= frame_count(sealed) < self.count:
            return False
        self.count += 1
        self._unused.append(len(sealed))
        return True

    def consumed(self, size: int) -> int | None:
        """Take note of bytes that were used; returns how many frames to acknowledge, if it is time.

        More than there is means everything, now. What counts is what the sender's window holds: a
        keystroke takes many times its own byte there.
        """
        self._used_bytes += size
        while self._unused and self._unused[0] - OVERHEAD_BYTES <= self._used_bytes:
            sealed = self._unused.popleft()
            self._used_bytes -= sealed - OVERHEAD_BYTES
            self._unsaid += sealed
        is_all = not self._unused and self._used_bytes > 0
        if not self._unused:
            self._used_bytes = 0
        if self._unsaid < self._every and not is_all:
            return None
        self._unsaid = 0
        return self.count - len(self._unused)
