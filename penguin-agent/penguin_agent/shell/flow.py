"""Move bytes between a program's ends and a session, as fast as the slower of them.

Read is until nothing is left, and joined for a millisecond where little follows a frame, so that a
flood travels in few large frames and a lone keystroke is never held up. While one frame of a flood
is read, the one before is recorded and sent, step by step: a terminal keeps at most 12 KiB, and its
program waits when nobody reads it for a quarter of a millisecond.
"""

from __future__ import annotations

import asyncio
import os
import time
from collections import deque
from typing import TYPE_CHECKING

from penguin_agent.shell.recorder import PART_BYTES
from penguindome.shell.pump import Begun, pause
from penguindome.shell.sealing import DATA_LIMIT_BYTES

if TYPE_CHECKING:
    from collections.abc import Callable

    from penguin_agent.shell.recorder import Recorder
    from penguindome.shell.endpoint import Endpoint

_JOIN_SECONDS = 0.001
_BUSY_SECONDS = 0.005
_SMALL_BYTES = 64
# A terminal hands over so much at a time, by a thread of the kernel that has to come first.
_HANDED_OVER_BYTES = 4095
# Who comes back later finds more, and is woken less often.
_MOMENT_SECONDS = 0.0002
_FLOOD_BYTES = 2048
_ENOUGH_BYTES = 16 * 1024


class Faucet:
    """Reads one end of a program into a session until it is over.

    What is short and alone, a keystroke's echo, is sent in the very callback that hears of it, and
    recorded later.

    Args:
        descriptor: what is read, non-blocking.
        kind: of the frames.
        endpoint: this end of the session.
        recorder: records what is sent; None where nothing is recorded.
    """

    def __init__(
        self,
        descriptor: int,
        kind: int,
        endpoint: Endpoint,
        recorder: Recorder | None,
    ) -> None:
        self._descriptor = descriptor
        self._kind = kind
        self._endpoint = endpoint
        self._recorder = recorder
        self._buffer = memoryview(bytearray(DATA_LIMIT_BYTES))
        self._filled = 0
        self._much = asyncio.Event()
        self._sent_at = 0.0
        self._is_over = False

    async def run(self) -> None:
        """Read until the other side is closed."""
        loop = asyncio.get_running_loop()
        while not self._is_over:
            try:
                loop.add_reader(self._descriptor, self._readable)
            except (OSError, ValueError):
                return
            try:
                await self._much.wait()
            finally:
                loop.remove_reader(self._descriptor)
            self._much.clear()
            await self._pour()

    def _readable(self) -> None:
        """Send what is short, if nothing has to be waited for; leave what is more to `_pour`."""
        if self._is_busy or self._endpoint.room <= 0:
            self._much.set()
            return
        self._read()
        if self._filled >= _HANDED_OVER_BYTES:
            self._fill()
        recorder = self._recorder
        is_short = self._filled < _ENOUGH_BYTES and not self._is_over
        if not is_short or not (recorder is None or recorder.has_room(self._filled)):
            self._much.set()
        elif data := self._taken():
            self._send(data)
            if recorder is not None:
                recorder.output_soon(data)

    async def _pour(self) -> None:
        """Send until little is left."""
        before: Begun | None = None
        while True:
            await self._endpoint.wait_room()
            await self._fill_up(before)
            if before is not None:
                await before.rest()
            if self._is_busy and _SMALL_BYTES <= self._filled < _ENOUGH_BYTES:
                await asyncio.sleep(_JOIN_SECONDS)
                await self._fill_up(None)
            data = self._taken()
            before = Begun(self._hand_on(data)) if data else None
            if len(data) < _ENOUGH_BYTES or self._is_over:
                break
        if before is not None:
            await before.rest()

    async def _hand_on(self, data: bytes) -> None:
        """Record and send a frame, in steps that are short enough to read in between."""
        await pause()
        if self._recorder is not None:
            for begin in range(0, len(data), PART_BYTES):
                lines = self._recorder.lines(data[begin : begin + PART_BYTES])
                await pause()
                await self._recorder.add(lines)
                await pause()
        self._send(data)

    @property
    def _is_busy(self) -> bool:
        return time.monotonic() - self._sent_at < _BUSY_SECONDS

    def _send(self, data: bytes) -> None:
        self._endpoint.send(self._kind, data)
        self._sent_at = time.monotonic()

    def _taken(self) -> bytes:
        """Return what was read, and begin anew."""
        data, self._filled = bytes(self._buffer[: self._filled]), 0
        return data

    async def _fill_up(self, before: Begun | None) -> None:
        """Read what there is now, and what is about to come, up to a frame's limit.

        Where nothing is there yet, `before` does its next step; and what was sent goes on its way,
        or it would wait until nothing more may be sent.
        """
        await pause()
        while self._filled < DATA_LIMIT_BYTES and not self._is_over:
            if self._read() or (before is not None and before.step()):
                continue
            await pause()
            if not self._follows():
                return

    def _fill(self) -> None:
        """Read the same in a callback, where nothing waits."""
        while self._filled < DATA_LIMIT_BYTES and not self._is_over:
            if not (self._read() or self._follows()):
                return

    def _follows(self) -> bool:
        """Tell whether more came while it was waited for, if that is worth it."""
        return self._filled >= _HANDED_OVER_BYTES and self._is_flooded()

    def _read(self) -> bool:
        """Read once; tell whether there was something."""
        try:
            count = os.readv(self._descriptor, [self._buffer[self._filled :]])
        except BlockingIOError:
            return False
        except OSError:  # EIO: a terminal that has nobody left
            count = 0
        self._filled += count
        self._is_over = not count
        return True

    def _is_flooded(self) -> bool:
        """Give the kernel a moment to hand over what follows; tell whether that was much."""
        had = self._filled
        time.sleep(_MOMENT_SECONDS)
        self._read()
        return self._filled - had >= _FLOOD_BYTES


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
