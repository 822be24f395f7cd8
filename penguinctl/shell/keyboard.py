"""Reads standard input into a session."""

from __future__ import annotations

import asyncio
import os
import signal
from typing import TYPE_CHECKING

from penguinctl.escapes import Escapes, Wish
from penguinctl.shell import terminal
from penguindome.shell.frames import Frame, size_bytes

if TYPE_CHECKING:
    from penguinctl.shell.client import Client

_READ_BYTES = 32 * 1024
# What is read although it cannot be sent yet, so that escapes are heard.
_EARLY_BYTES = 4096
HELP = """Supported escape sequences, at the beginning of a line:
  ~.   end the session
  ~^Z  suspend penguinctl
  ~?   this list
  ~~   send one ~"""


class Keyboard:
    """Sends what is typed in the very callback that hears of it: a keystroke waits for nothing.

    Args:
        client: the session.
        escapes: what ~ means at a terminal.
        local: the terminal, None where input is none.
        descriptor: what is read.
    """

    def __init__(
        self, client: Client, escapes: Escapes, local: terminal.Terminal | None, descriptor: int = 0
    ) -> None:
        self._client = client
        self._escapes = escapes if local is not None else Escapes(None)
        self._local = local
        self._descriptor = descriptor
        self._early = bytearray()
        self._wake = asyncio.Event()
        self._is_held = self._is_over = False

    async def run(self) -> None:
        """Read until the end of input."""
        loop = asyncio.get_running_loop()
        try:
            loop.add_reader(self._descriptor, self._readable)
        except OSError:
            await self._read_file()
            return
        try:
            while self._early or not self._is_over:
                await self._wake.wait()
                self._wake.clear()
                await self._catch_up(loop)
        finally:
            loop.remove_reader(self._descriptor)
        if self._local is None:
            await self._end_input()

    async def _catch_up(self, loop: asyncio.AbstractEventLoop) -> None:
        """Send what had to wait, and go on reading."""
        if self._early:
            await self._client.wait_room()
            data = bytes(self._early)
            self._early.clear()
            self._client.send(Frame.INPUT, data)
        if self._is_held and not self._is_over:
            self._is_held = False
            loop.add_reader(self._descriptor, self._readable)

    def _readable(self) -> None:
        data = self._read()
        if not data:
            self._over()
            return
        for one in self._escapes.typed(data):
            if one.wish is not None:
                self._obey(one.wish)
            else:
                self._send(one.data)
        if len(self._early) >= _EARLY_BYTES:
            self._is_held = True
            asyncio.get_running_loop().remove_reader(self._descriptor)

    def _read(self) -> bytes:
        try:
            return os.read(self._descriptor, _READ_BYTES)
        except OSError:
            return b""

    def _send(self, data: bytes) -> None:
        if self._client.has_room and not self._early:
            self._client.send(Frame.INPUT, data)
            return
        self._early += data
        self._wake.set()

    def _over(self) -> None:
        """Read no more; without its terminal a session ends."""
        self._is_over = True
        self._wake.set()
        asyncio.get_running_loop().remove_reader(self._descriptor)
        if self._local is not None:
            self._early.clear()
            self._client.leave()

    def _obey(self, wish: Wish) -> None:
        if wish is Wish.END:
            self._client.leave()
        elif wish is Wish.HELP:
            terminal.say(HELP.replace("\n", "\r\n"))
        elif self._local is not None:
            self._local.suspend()
            self._client.send(Frame.SIZE, size_bytes(*terminal.size()))

    async def _read_file(self) -> None:
        """Read what is always ready, and never tells that it is: a file."""
        while data := await asyncio.to_thread(self._read):
            await self._client.type(data)
        await self._end_input()

    async def _end_input(self) -> None:
        await self._client.wait_room()
        self._client.send(Frame.INPUT_END, b"")


def follow_size(client: Client) -> None:
    """Tell the device each new size of the terminal."""

    def changed() -> None:
        client.send(Frame.SIZE, size_bytes(*terminal.size()))

    asyncio.get_running_loop().add_signal_handler(signal.SIGWINCH, changed)
