"""Shows what comes from a device, as slowly as it is taken."""

from __future__ import annotations

import asyncio
import contextlib
import os
import queue
import select
import threading
from typing import TYPE_CHECKING

from penguinctl.terminal_filter import TerminalFilter
from penguindome.shell.frames import Frame

if TYPE_CHECKING:
    from penguinctl.shell.client import Client

# What a terminal's or a pipe's buffer takes without waiting once it says that there is room.
_LITTLE_BYTES = 4096


class _Writer(threading.Thread):
    """Writes what may have to wait, while the session goes on; nobody waits for it at the end."""

    def __init__(self) -> None:
        super().__init__(name="screen", daemon=True)
        self._works: queue.SimpleQueue[tuple[int, memoryview, asyncio.Future[None]]]
        self._works = queue.SimpleQueue()

    async def write(self, descriptor: int, data: memoryview) -> None:
        """Write everything.

        Raises:
            OSError: It cannot be written.
        """
        done = asyncio.get_running_loop().create_future()
        self._works.put((descriptor, data, done))
        if not self.is_alive():
            self.start()
        await done

    def run(self) -> None:
        """Write one thing after the other."""
        while True:
            descriptor, data, done = self._works.get()
            error = _write(descriptor, data)
            # The session may be over, and its event loop with it.
            with contextlib.suppress(RuntimeError):
                done.get_loop().call_soon_threadsafe(_settle, done, error)


def _settle(done: asyncio.Future[None], error: OSError | None) -> None:
    if done.done():
        return
    if error is None:
        done.set_result(None)
    else:
        done.set_exception(error)


class Screen:
    """Writes what comes to standard output and standard error; slowly if they are slow.

    Args:
        client: the session.
        filters: whether sequences that act on the operator's machine are dropped.
        descriptors: where output and errors are written.
    """

    def __init__(
        self, client: Client, *, filters: bool, descriptors: tuple[int, int] = (1, 2)
    ) -> None:
        self._client = client
        self._descriptors: dict[int, int] = dict(
            zip((Frame.OUTPUT, Frame.ERRORS), descriptors, strict=True)
        )
        self._is_broken = self._is_busy = False
        self._rest = b""
        self._writer = _Writer()
        self._filters = {one: TerminalFilter().filter for one in descriptors} if filters else {}
        client.at_once = self._at_once

    async def run(self) -> None:
        """Write until the last frame."""
        while True:
            kind, data = await self._client.frames.get()
            if kind == Frame.EXIT:
                self._client.finish(data)
                return
            if (descriptor := self._descriptors.get(kind)) and not self._is_broken:
                self._is_busy = True
                await self._show(descriptor, data)
                self._is_busy = False
            self._consumed(data)

    def _at_once(self, kind: int, data: bytes) -> bool:
        """Show a frame that is short, where there is room for it.

        A terminal that takes nothing must not stop the keyboard: what is more is left to a thread.
        """
        descriptor = self._descriptors.get(kind)
        if not descriptor or self._is_broken or self._is_busy or len(data) > _LITTLE_BYTES:
            return False
        try:
            if not select.select([], [descriptor], [], 0)[1]:
                return False
            shown = self._filtered(descriptor, data)
            self._rest = shown[os.write(descriptor, shown) :]
        except OSError as error:
            self._broken(error)
        if self._rest:
            self._client.frames.put_nowait((kind, b""))
        self._consumed(data)
        return True

    async def _show(self, descriptor: int, data: bytes) -> None:
        rest, self._rest = memoryview(self._rest + self._filtered(descriptor, data)), b""
        try:
            await self._writer.write(descriptor, rest)
        except OSError as error:
            self._broken(error)

    def _broken(self, error: OSError) -> None:
        """Show no more: whoever reads a pipe no longer wants no more, and knows it."""
        quiet = isinstance(error, BrokenPipeError)
        self._is_broken = True
        self._client.leave("" if quiet else f"what it shows cannot be written: {error.strerror}")

    def _filtered(self, descriptor: int, data: bytes) -> bytes:
        keep = self._filters.get(descriptor)
        return data if keep is None else keep(data)

    def _consumed(self, data: bytes) -> None:
        if self._client.endpoint is not None:
            self._client.endpoint.consumed(len(data))


def _write(descriptor: int, data: memoryview) -> OSError | None:
    """Write everything; return why that is not possible."""
    while data:
        try:
            data = data[os.write(descriptor, data) :]
        except BlockingIOError:
            # Somebody else, who shares the terminal, made it so.
            select.select([], [descriptor], [])
        except OSError as error:
            return error
    return None
