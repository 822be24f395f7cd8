"""What happens to a child process, by asyncio's subprocess protocol: no reader task outlives it."""

from __future__ import annotations

import asyncio
from contextlib import suppress

STDOUT, STDERR = 1, 2


class ChildEvents(asyncio.SubprocessProtocol):
    """Tells when a child ended and when its pipes did; whoever inherits takes what it prints."""

    def __init__(self) -> None:
        self.exited = False
        self.event = asyncio.Event()
        self._open = {STDOUT, STDERR}

    @property
    def drained(self) -> bool:
        """Tell whether nothing more can be printed."""
        return not self._open

    def pipe_connection_lost(self, fd: int, exc: Exception | None) -> None:
        """Note that a pipe was closed."""
        del exc
        self._open.discard(fd)
        self.event.set()

    def process_exited(self) -> None:
        """Note that the child ended; what it started may still print."""
        self.exited = True
        self.event.set()

    async def wait(self, seconds: float) -> None:
        """Wait for the next event, at most so long."""
        with suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                await self.event.wait()
        self.event.clear()
