"""The two ends of a session at the operator's terminal: what is typed, and what is shown."""

from __future__ import annotations

import asyncio
import os
import pty
import random
import threading
import time
import tty

import pytest

from penguinctl.escapes import Escapes
from penguinctl.shell.keyboard import Keyboard
from penguinctl.shell.screen import Screen
from penguinctl.shell.terminal import Terminal
from penguindome.shell.endpoint import Endpoint
from penguindome.shell.frames import Frame
from penguindome.shell.sealing import Ephemeral


class Line:
    """What the two ends see of a session: an end of one, and whether it was left."""

    def __init__(self, window_bytes=64 * 1024):
        theirs, ours = Ephemeral(), Ephemeral()
        self.device = Endpoint(theirs.agree(ours.public, b"o", b"a"), "to-operator")
        self._keys, self._window = ours.agree(theirs.public, b"o", b"a"), window_bytes
        self.endpoint = None
        self.begun = asyncio.Event()
        self.frames = asyncio.Queue()
        self.left, self.finished = [], asyncio.Event()
        self.typed, self.is_input_over = bytearray(), False
        self.at_once = lambda _kind, _data: False

    def begin(self):
        self.endpoint = Endpoint(self._keys, "to-device", self._window)
        self.endpoint.joined(0)
        self.begun.set()

    @property
    def has_room(self):
        return self.endpoint is not None and self.endpoint.room > 0

    async def wait_room(self):
        await self.begun.wait()
        await self.endpoint.wait_room()

    def send(self, kind, data):
        if self.endpoint is not None:
            self.endpoint.send(kind, data)

    async def type(self, data):
        await self.wait_room()
        self.send(Frame.INPUT, data)

    def leave(self, reason=""):
        self.left.append(reason)

    def finish(self, _data):
        self.finished.set()

    def show(self, kind, data):
        """Hand a frame to the screen as the client does."""
        if not (self.frames.empty() and self.at_once(kind, data)):
            self.frames.put_nowait((kind, data))

    async def take(self, until):
        """Read what was typed on the device until that is so."""
        async with asyncio.timeout(20):
            while not until():
                what = self.endpoint.take_write()
                if not isinstance(what, bytes):
                    await asyncio.sleep(0.001)
                    continue
                kind, data = self.device.take(what)
                self.typed += data if kind == Frame.INPUT else b""
                self.is_input_over = self.is_input_over or kind == Frame.INPUT_END
                self.endpoint.acknowledged(self.device.received)


@pytest.fixture
def terminal():
    """A terminal: our side of it, and the one that is read."""
    ours, theirs = pty.openpty()
    tty.setraw(theirs)
    yield ours, theirs
    for one in (ours, theirs):
        try:
            os.close(one)
        except OSError:
            continue


def keyboard(line, descriptor, *, is_terminal):
    local = Terminal(descriptor) if is_terminal else None
    return asyncio.create_task(Keyboard(line, Escapes(), local, descriptor).run())


def test_escapes_are_heard_although_nothing_can_be_sent_yet(terminal):
    ours, theirs = terminal

    async def work():
        line = Line()
        running = keyboard(line, theirs, is_terminal=True)
        os.write(ours, b"uptime\r")
        await asyncio.sleep(0.05)
        os.write(ours, b"~.")
        async with asyncio.timeout(5):
            while not line.left:  # noqa: ASYNC110 -- a test
                await asyncio.sleep(0.005)
        running.cancel()
        await asyncio.wait([running])

    asyncio.run(work())


def test_what_is_typed_early_is_sent_first_and_once(terminal):
    ours, theirs = terminal

    async def work():
        line = Line()
        running = keyboard(line, theirs, is_terminal=True)
        for letter in b"early ":
            os.write(ours, bytes([letter]))
            await asyncio.sleep(0.002)
        line.begin()
        os.write(ours, b"late")
        await line.take(lambda: line.typed.endswith(b"late"))
        assert line.typed == b"early late"
        os.close(ours)
        await asyncio.wait_for(running, 5)
        assert line.left == [""]

    asyncio.run(work())


@pytest.mark.parametrize("kind", ["pipe", "file"])
def test_input_that_is_no_terminal_arrives_whole_and_ends(tmp_path, kind):
    data = random.Random(5).randbytes(700_000)
    path = tmp_path / "input"
    path.write_bytes(data)

    async def work():
        source = os.open(path, os.O_RDONLY)
        if kind == "pipe":
            source, into = os.pipe()
            threading.Thread(target=_write_all, args=(into, data)).start()
        line = Line()
        running = keyboard(line, source, is_terminal=False)
        await asyncio.sleep(0.05)
        line.begin()
        await asyncio.sleep(0.05)
        # The window bounds what is read.
        assert line.endpoint.room > -(64 * 1024)
        await line.take(lambda: line.is_input_over)
        await asyncio.wait_for(running, 5)
        os.close(source)
        assert line.typed == data
        assert line.left == []

    asyncio.run(work())


def _write_all(into, data):
    while data:
        data = data[os.write(into, data[:50_000]) :]
    os.close(into)


@pytest.mark.parametrize("is_blocking", [True, False])
def test_what_is_shown_keeps_its_order_however_slowly_it_is_taken(is_blocking):
    chance = random.Random(7)
    parts = [chance.randbytes(chance.choice([1, 1, 80, 4096, 4097, 60_000])) for _ in range(120)]

    async def work():
        source, into = os.pipe()
        os.set_blocking(into, is_blocking)
        line = Line()
        line.begin()
        found = bytearray()
        taking = threading.Thread(target=_take_all, args=(source, found))
        taking.start()
        showing = asyncio.create_task(Screen(line, filters=False, descriptors=(into, 2)).run())
        for part in parts:
            line.show(Frame.OUTPUT, part)
            await asyncio.sleep(chance.choice([0, 0, 0.002]))
        line.show(Frame.EXIT, b"")
        await asyncio.wait_for(showing, 20)
        os.close(into)
        taking.join(10)
        assert line.finished.is_set()
        return bytes(found)

    assert asyncio.run(work()) == b"".join(parts)


def _take_all(source, found):
    while data := os.read(source, 3000):
        found += data
        if len(found) < 300_000:
            time.sleep(0.0005)
    os.close(source)


@pytest.mark.parametrize("size", [1, 60_000])
def test_who_reads_no_longer_ends_the_session_once(size):
    async def work():
        source, into = os.pipe()
        os.close(source)
        line = Line()
        line.begin()
        showing = asyncio.create_task(Screen(line, filters=False, descriptors=(into, 2)).run())
        for _ in range(3):
            line.show(Frame.OUTPUT, b"x" * size)
        line.show(Frame.EXIT, b"")
        await asyncio.wait_for(showing, 5)
        os.close(into)
        assert line.left == [""]

    asyncio.run(work())


def test_a_terminal_that_takes_nothing_does_not_hold_up_the_end(terminal):
    _, theirs = terminal

    async def work():
        line = Line()
        line.begin()
        showing = asyncio.create_task(Screen(line, filters=False, descriptors=(theirs, 2)).run())
        for _ in range(4):
            line.show(Frame.OUTPUT, b"x" * 60_000)
        await asyncio.sleep(0.1)
        assert not line.finished.is_set()
        showing.cancel()
        await asyncio.wait([showing])

    ended = threading.Thread(target=asyncio.run, args=(work(),), daemon=True)
    ended.start()
    ended.join(5)
    assert not ended.is_alive()
