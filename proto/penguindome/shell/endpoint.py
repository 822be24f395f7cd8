"""One end of a session: seals what is sent, opens what comes, and outlives lost links.

A link is a pair of streams that comes and goes; its writer asks `next_write` for what to send, its
reader hands over what came. Everything happens in one event loop.
"""

from __future__ import annotations

import asyncio
from collections import deque
from enum import Enum
from typing import TYPE_CHECKING

from penguindome.shell.resuming import WINDOW_BYTES, Incoming, Outgoing
from penguindome.shell.sealing import Opener, Sealer

if TYPE_CHECKING:
    from penguindome.shell.sealing import Direction, SessionKeys


class Mark(Enum):
    """What a link's writer sends besides frames and acknowledgements."""

    SYNCED = "synced"
    ALIVE = "alive"


class Endpoint:
    """One end.

    Args:
        keys: The session's.
        sends: The direction of what this end sends.
        window_bytes: What may be under way from here.
    """

    def __init__(
        self, keys: SessionKeys, sends: Direction, window_bytes: int = WINDOW_BYTES
    ) -> None:
        comes: Direction = "to-operator" if sends == "to-device" else "to-device"
        self._sealer = Sealer(keys, sends)
        self._opener = Opener(keys, comes)
        self._outgoing = Outgoing(window_bytes)
        self._incoming = Incoming()
        self._writes: deque[bytes | int | Mark] = deque()
        self._wake = asyncio.Event()
        self._room = asyncio.Event()
        self._room.set()
        self.is_joined = False

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
        if self.is_joined:
            self._put(sealed)
        if self._outgoing.room <= 0:
            self._room.clear()

    async def wait_room(self) -> None:
        """Wait until there is room for more."""
        await self._room.wait()

    async def wait_settled(self) -> None:
        """Wait until the other end has everything; only at the end, it looks from time to time."""
        while not self.is_settled:  # noqa: ASYNC110 -- the last moments of a session
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
        if count is not None and self.is_joined:
            self._put(count)

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
        self.is_joined = True
        self._put(Mark.SYNCED, *self._outgoing.again())

    def lost(self) -> None:
        """Send nothing until the next link."""
        self.is_joined = False
        self._writes.clear()

    def beat(self) -> None:
        """Ask the server whether it is there, before anything else."""
        self._writes.appendleft(Mark.ALIVE)
        self._wake.set()

    async def next_write(self) -> bytes | int | Mark:
        """Return what the link has to send next: a frame, an acknowledgement or a mark."""
        while not self._writes:
            self._wake.clear()
            await self._wake.wait()
        return self._writes.popleft()

    def _put(self, *what: bytes | int | Mark) -> None:
        self._writes.extend(what)
        self._wake.set()
