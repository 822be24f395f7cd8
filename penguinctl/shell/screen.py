"""Shows what comes from a device, as slowly as it is taken."""

from __future__ import annotations

import asyncio
import os
import select
from typing import TYPE_CHECKING

from penguinctl.terminal_filter import TerminalFilter
from penguindome.shell.frames import Frame

if TYPE_CHECKING:
    from penguinctl.shell.client import Client

# What a terminal's or a pipe's buffer takes without waiting once it says that there is room.
_LITTLE_BYTES = 4096


class Screen:
    """Writes what comes to standard output and standard error; slowly if they are slow.

    Args:
        client: the session.
        filters: whether sequences that act on the operator's machine are dropped.
    """

    def __init__(self, client: Client, *, filters: bool) -> None:
        self._client = client
        self._is_broken = False
        self._filters = {1: TerminalFilter().filter, 2: TerminalFilter().filter} if filters else {}

    async def run(self) -> None:
        """Write until the last frame."""
        while True:
            kind, data = await self._client.frames.get()
            if kind == Frame.EXIT:
                self._client.finish(data)
                return
            if kind in (Frame.OUTPUT, Frame.ERRORS) and not self._is_broken:
                await self._show(1 if kind == Frame.OUTPUT else 2, data)
            if self._client.endpoint is not None:
                self._client.endpoint.consumed(len(data))

    async def _show(self, descriptor: int, data: bytes) -> None:
        try:
            await self._write(descriptor, data)
        except OSError as error:
            # Whoever reads a pipe no longer wants no more, and knows it.
            quiet = isinstance(error, BrokenPipeError)
            self._is_broken = True
            why = "" if quiet else f"what it shows cannot be written: {error.strerror}"
            self._client.leave(why)

    async def _write(self, descriptor: int, data: bytes) -> None:
        keep = self._filters.get(descriptor)
        rest = memoryview(keep(data) if keep is not None else data)
        while rest:
            # A terminal that takes nothing must not stop the keyboard: a little is written at once
            # where there is room, more by a thread.
            if len(rest) <= _LITTLE_BYTES and select.select([], [descriptor], [], 0)[1]:
                rest = rest[os.write(descriptor, rest) :]
            else:
                rest = rest[await asyncio.to_thread(_write, descriptor, rest) :]


def _write(descriptor: int, data: memoryview) -> int:
    """Write some; wait where the terminal was made non-blocking by somebody else."""
    select.select([], [descriptor], [])
    return os.write(descriptor, data)
