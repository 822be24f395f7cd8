"""One end of a session: seals what is sent, opens what comes, and outlives lost links.

A link is a pair of streams that comes and goes; `write_with` runs for as long as it can be written,
its reader hands over what came. Everything happens in one event loop.
"""

from __future__ import annotations

import asyncio
from collections import deque
from enum import Enum
from typing import TYPE_CHECKING, Any

from penguindome.shell.pump import Pump
from penguindome.shell.resuming import (
    ACKNOWLEDGE_BYTES,
    ACKNOWLEDGE_INPUT_BYTES,
    INPUT_WINDOW_BYTES,
    WINDOW_BYTES,
    Incoming,
    Outgoing,
)
from penguindome.shell.sealing import Opener, Sealer

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine

    from penguindome.shell.sealing import Direction, SessionKeys


class Mark(Enum):
    """What a link's writer sends besides frames and acknowledgements."""

    SYNCED = "synced"
    ALIVE = "alive"


# A frame, an acknowledgement or a mark.
Write = bytes | int | Mark


class Endpoint:
    """One end.

    Args:
        keys: The session's.
        sends: The direction of what this end sends.
        window_bytes: What may be under way from here; None for what is usual in that direction.
    """

    def __init__(
        self, keys: SessionKeys, sends: Direction, window_bytes: int | None = None
    ) -> None:
        types = sends == "to-device"
        comes: Direction = "to-operator" if types else "to-device"
        usual = INPUT_WINDOW_BYTES if types else WINDOW_BYTES
        self._sealer = Sealer(keys, sends)
        self._opener = Opener(keys, comes)
        self._outgoing = Outgoing(usual if window_bytes is None else window_bytes)
        self._incoming = Incoming(ACKNOWLEDGE_BYTES if types else ACKNOWLEDGE_INPUT_BYTES)
        self._writes: deque[Write] = deque()
        self._pump: Pump[Write] = Pump(self.take_write)
        self._room = asyncio.Event()
        self._room.set()
        self._is_closing = False
        self.is_joined = False
        # Whether the other end is known to have no link, while there is one here.
        self.is_alone = False

    @property
    def received(self) -> int:
        """Return how many of the other end's frames are here."""
        return self._incoming.count

    @property
    def room(self) -> int:
        """Return how many bytes may be sent now."""
        return self._outgoing.room

    @property
    def is_settled(self) -> bool:
        """Tell whether the other end has everything that was sent."""
        return self._outgoing.is_settled

    def send(self, kind: int, data: bytes) -> None:
        """Send a frame now, or as soon as there is a link; who sends much waits for room."""
        sealed = self._sealer.seal(kind, data)
        self._outgoing.put(sealed)
        if self.is_joined and not self._pump.begin(sealed):
            self._wait(sealed)
        if self._outgoing.room <= 0:
            self._room.clear()

    async def wait_room(self) -> None:
        """Wait until there is room for more."""
        await self._room.wait()

    async def wait_settled(self, *, or_alone: bool = False) -> None:
        """Wait until the other end has everything; only at the end, it looks from time to time.

        Args:
            or_alone: whether that is not waited for while the other end is gone for certain.
        """
        while not (self.is_settled or (or_alone and self.is_alone)):  # noqa: ASYNC110 -- the end
            await asyncio.sleep(0.01)

    def take(self, sealed: bytes) -> tuple[int, bytes] | None:
        """Return what a frame holds; None for one that is here already.

        Raises:
            Forbidden: It is not what the other end sent next.
        """
        if not self._incoming.is_new(sealed):
            return None
        return self._opener.open(sealed)

    def consumed(self, size: int) -> None:
        """Note that bytes of frames that were taken wait here no more."""
        count = self._incoming.consumed(size)
        if count is not None and self.is_joined and not self._pump.begin(count):
            self._wait(count)

    def acknowledged(self, count: int) -> None:
        """Hear how many of our frames the other end has.

        Raises:
            Forbidden: It cannot have so many.
        """
        self._outgoing.acknowledged(count)
        if self._outgoing.room > 0:
            self._room.set()

    def joined(self, acknowledged: int) -> None:
        """Begin to use a link, over which the other end said how many of our frames it has.

        Raises:
            Forbidden: It cannot have so many.
        """
        self.acknowledged(acknowledged)
        self._writes.clear()
        self.is_joined, self.is_alone = True, False
        # What was used meanwhile could not be acknowledged, and what comes again says nothing.
        self._wait(Mark.SYNCED, self.received, *self._outgoing.again())

    def lost(self) -> None:
        """Send nothing until the next link."""
        self.is_joined = self.is_alone = False
        self._writes.clear()

    def parted(self) -> None:
        """Hear that the other end has lost its link, or has gone."""
        self.lost()
        self.is_alone = True

    def close(self) -> None:
        """Have `write_with` return once everything is sent."""
        self._is_closing = True
        self._pump.wake()

    def beat(self) -> None:
        """Ask the server whether it is there, before anything else."""
        self._writes.appendleft(Mark.ALIVE)
        self._pump.wake()

    def take_write(self) -> Write | None:
        """Return what the link has to send next; None if there is nothing."""
        return self._writes.popleft() if self._writes else None

    async def write_with(self, write: Callable[[Write], Coroutine[Any, Any, None]]) -> None:
        """Have everything sent by `write`, one after the other, until `close`, or it fails."""
        await self._pump.run(write, lambda: self._is_closing)

    def _wait(self, *what: Write) -> None:
        """Have something sent after everything that waits already."""
        self._writes.extend(what)
        self._pump.wake()
