"""Move bytes between a program's ends and a session, as fast as the slower of them.

Read is until nothing is left, and joined for a millisecond where little follows a frame, so that a
flood travels in few large frames and a lone keystroke is never held up.
"""

from __future__ import annotations

import asyncio
import os
import time
from collections import deque
from typing import TYPE_CHECKING

from penguindome.shell.frames import DATA_LIMIT_BYTES

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from penguindome.shell.endpoint import Endpoint

_READ_BYTES = 64 * 1024
_JOIN_SECONDS = 0.001
_BUSY_SECONDS = 0.005
_SMALL_BYTES = 64
_ENOUGH_BYTES = 16 * 1024


class Faucet:
    """Reads one end of a program into a session until it is over."""

    def __init__(
        self,
        descriptor: int,
        kind: int,
        endpoint: Endpoint,
        record: Callable[[bytes], Awaitable[None]],
    ) -> None:
        self._descriptor = descriptor
        self._kind = kind
        self._endpoint = endpoint
        self._record = record
        self._sent_at = 0.0
        self._is_over = False

    async def run(self) -> None:
        """Read until the other side is closed."""
        while not self._is_over:
            await self._endpoint.wait_room()
            data = self._read(b"")
            busy = time.monotonic() - self._sent_at < _BUSY_SECONDS
            if busy and _SMALL_BYTES <= len(data) < _ENOUGH_BYTES:
                await asyncio.sleep(_JOIN_SECONDS)
                data = self._read(data)
            if data:
                await self._record(data)
                self._endpoint.send(self._kind, data)
                self._sent_at = time.monotonic()
            if len(data) < _ENOUGH_BYTES and not self._is_over:
                await self._readable()

    def _read(self, data: bytes) -> bytes:
        """Return `data` and what there is now, up to a frame's limit."""
        parts, left = [data], DATA_LIMIT_BYTES - len(data)
        try:
            while left > 0:
                part = os.read(self._descriptor, min(left, _READ_BYTES))
                if not part:
                    self._is_over = True
                    break
                parts.append(part)
                left -= len(part)
        except BlockingIOError:
            pass
        except OSError:  # EIO: a terminal that has nobody left
            self._is_over = True
        return b"".join(parts)

    async def _readable(self) -> None:
        """Wait until there is something, or the end."""
        loop, ready = asyncio.get_running_loop(), asyncio.Event()
        try:
            loop.add_reader(self._descriptor, ready.set)
        except (OSError, ValueError):
            self._is_over = True
            return
        try:
            await ready.wait()
        finally:
            loop.remove_reader(self._descriptor)


class Drain:
    """Writes what comes from a session to a program's input, in order.

    What waits is bounded by the session's window.

    Args:
        descriptor: returns where to write; -1 when it is closed.
        consumed: is told how many bytes wait here no more.
    """

    def __init__(self, descriptor: Callable[[], int], consumed: Callable[[int], None]) -> None:
        self._descriptor = descriptor
        self._consumed = consumed
        self._waiting: deque[bytes | None] = deque()
        self._wake = asyncio.Event()
        self._is_writing = False

    def put(self, data: bytes | None) -> None:
        """Have bytes written, at once if nothing waits before them; None for the end."""
        if data and not self._waiting and not self._is_writing:
            data = self._at_once(data)
            if not data:
                return
        self._waiting.append(data)
        self._wake.set()

    async def run(self, at_end: Callable[[], None]) -> None:
        """Write for ever; `at_end` is called where the end was put."""
        while True:
            while not self._waiting:
                self._wake.clear()
                await self._wake.wait()
            data = self._waiting.popleft()
            if data is None:
                at_end()
                continue
            self._is_writing = True
            await self._write(data)
            self._is_writing = False
            self._consumed(len(data))

    def _at_once(self, data: bytes) -> bytes:
        """Write what there is room for; return the rest."""
        descriptor = self._descriptor()
        try:
            written = len(data) if descriptor < 0 else os.write(descriptor, data)
        except BlockingIOError:
            return data
        except OSError:
            written = len(data)  # nobody reads any more
        self._consumed(written)
        return data[written:]

    async def _write(self, data: bytes) -> None:
        rest = memoryview(data)
        while rest:
            descriptor = self._descriptor()
            if descriptor < 0:
                return
            try:
                rest = rest[os.write(descriptor, rest) :]
            except BlockingIOError:
                await self._writable(descriptor)
            except OSError:
                return  # nobody reads any more

    async def _writable(self, descriptor: int) -> None:
        loop, ready = asyncio.get_running_loop(), asyncio.Event()
        loop.add_writer(descriptor, ready.set)
        try:
            await ready.wait()
        finally:
            loop.remove_writer(descriptor)
