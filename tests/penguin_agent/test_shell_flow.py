"""What a program prints on its way into a session: whole, in order, recorded as it was sent."""

from __future__ import annotations

import asyncio
import fcntl
import os
import sys
import threading
import time

import pytest

from penguin_agent.shell.flow import Faucet
from penguin_agent.shell.recorder import PART_BYTES
from penguindome.shell.endpoint import Endpoint
from penguindome.shell.frames import Frame
from penguindome.shell.sealing import DATA_LIMIT_BYTES, Ephemeral
from tests.penguin_agent.recordings import read_all, recorder_in, shown, verified
from tests.penguin_agent.shell_pair import Pair

# Bursts of all sizes, and pauses around those at which output is joined.
BURSTS = """
import os, random, sys, time
chance = random.Random(int(sys.argv[1]))
letters = bytes(chance.choices(b"abcdefgh\\n\\x1b", k=200_000))
for _ in range(150):
    count = chance.choice([1, 1, 2, 63, 64, 700, 16_383, 16_384, 60_000, 150_000])
    start = chance.randrange(len(letters) - count)
    data = letters[start : start + count]
    while data:
        data = data[os.write(1, data) :]
    time.sleep(chance.choice([0, 0, 0.0005, 0.002, 0.006]))
"""


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_bursts_and_pauses_arrive_whole_and_are_recorded_so(tmp_path, seed):
    async def work():
        argv = (sys.executable, "-c", BURSTS, str(seed))
        process = await asyncio.create_subprocess_exec(*argv, stdout=asyncio.subprocess.PIPE)
        expected, _ = await process.communicate()
        pair = Pair(argv, size=None)
        pair.recorder, pieces = recorder_in(tmp_path)
        async with pair:
            await pair.ended
            assert bytes(pair.operator.shown[Frame.OUTPUT]) == expected
        return expected, read_all(pieces)

    expected, found = asyncio.run(asyncio.wait_for(work(), 60))
    assert shown(found) == expected
    assert verified(found).is_complete


class Tap:
    """A faucet of a pipe; keeps what it was given to record, at once or not."""

    def __init__(self, window_bytes=100_000):
        theirs, ours = Ephemeral(), Ephemeral()
        self.operator = Endpoint(theirs.agree(ours.public, b"o", b"a"), "to-device")
        keys = ours.agree(theirs.public, b"o", b"a")
        self.endpoint = Endpoint(keys, "to-operator", window_bytes)
        self.endpoint.joined(0)
        self.recorded, self.at_once, self.may_at_once = bytearray(), 0, True
        self.parts = []
        self.sent, self.fails = [], None
        # Rounds of the event loop that writing takes; by how many bytes recording was ahead of it.
        self.rounds, self.ahead = 0, 0
        self.may_record = asyncio.Event()
        self.may_record.set()
        self.writing = asyncio.create_task(self.endpoint.write_with(self.write))
        self.source, self.into = os.pipe()
        os.set_blocking(self.source, False)
        self.faucet = Faucet(self.source, Frame.OUTPUT, self.endpoint, self)

    async def write(self, what):
        for _ in range(self.rounds):
            await asyncio.sleep(0)
        if isinstance(what, bytes):
            self.sent.append(self.operator.take(what)[1])

    def has_room(self, _size):
        return self.may_at_once

    def lines(self, data):
        self.parts.append(len(data))
        return [data]

    async def add(self, lines):
        await self.may_record.wait()
        if self.fails is not None:
            raise self.fails
        self.recorded += b"".join(lines)
        self.ahead = max(self.ahead, len(self.recorded) - sum(map(len, self.sent)))

    def output_soon(self, data):
        self.recorded += data
        self.at_once += 1

    async def frames(self, count):
        """Return what the next frames show."""
        async with asyncio.timeout(5):
            while len(self.sent) < count:  # noqa: ASYNC110 -- a test
                await asyncio.sleep(0.001)
        found, self.sent = self.sent[:count], self.sent[count:]
        return found


def test_a_keystroke_is_sent_before_anything_else_runs():
    async def work():
        tap = Tap()
        running = asyncio.create_task(tap.faucet.run())
        for number in range(5):
            # Longer than output is joined.
            await asyncio.sleep(0.01)
            os.write(tap.into, b"%d" % number)
            assert await tap.frames(1) == [b"%d" % number]
        assert tap.at_once == 5
        os.close(tap.into)
        await asyncio.wait_for(running, 5)
        os.close(tap.source)
        assert tap.recorded == b"01234"

    asyncio.run(work())


def test_what_cannot_be_recorded_at_once_is_sent_when_it_is():
    async def work():
        tap = Tap()
        tap.may_at_once = False
        running = asyncio.create_task(tap.faucet.run())
        os.write(tap.into, b"slowly")
        assert await tap.frames(1) == [b"slowly"]
        assert (tap.recorded, tap.at_once) == (b"slowly", 0)
        os.write(tap.into, b"the last")
        os.close(tap.into)
        await asyncio.wait_for(running, 5)
        os.close(tap.source)
        assert b"".join(await tap.frames(1)) == b"the last"

    asyncio.run(work())


def test_a_full_window_stops_it_and_room_starts_it_again():
    async def work():
        tap = Tap(window_bytes=10)
        running = asyncio.create_task(tap.faucet.run())
        os.write(tap.into, b"more than ten bytes")
        assert await tap.frames(1) == [b"more than ten bytes"]
        os.write(tap.into, b"waits")
        await asyncio.sleep(0.05)
        assert tap.recorded == b"more than ten bytes"
        tap.endpoint.acknowledged(1)
        assert await tap.frames(1) == [b"waits"]
        running.cancel()
        await asyncio.wait([running])
        os.close(tap.into)
        os.close(tap.source)

    asyncio.run(work())


def flood_of(tap, size):
    """Have a pipe hold a flood whose parts can be told from each other; return it."""
    fcntl.fcntl(tap.into, fcntl.F_SETPIPE_SZ, 512 * 1024)
    flood = b"".join(b"%07d\n" % number for number in range(size // 8))
    assert os.write(tap.into, flood) == len(flood)
    return flood


def test_nothing_of_a_flood_is_sent_before_it_is_recorded():
    async def work():
        tap = Tap(window_bytes=1_000_000)
        flood = flood_of(tap, 300_000)
        tap.may_record.clear()
        running = asyncio.create_task(tap.faucet.run())
        await asyncio.sleep(0.1)
        assert (tap.sent, bytes(tap.recorded)) == ([], b"")
        tap.may_record.set()
        os.close(tap.into)
        await asyncio.wait_for(running, 5)
        await asyncio.sleep(0.01)
        os.close(tap.source)
        assert b"".join(tap.sent) == bytes(tap.recorded) == flood

    asyncio.run(work())


def test_a_large_frame_is_recorded_in_parts_that_fit_into_a_piece():
    async def work():
        tap = Tap(window_bytes=1_000_000)
        flood = flood_of(tap, 300_000)
        os.close(tap.into)
        await asyncio.wait_for(tap.faucet.run(), 5)
        await asyncio.sleep(0.01)
        os.close(tap.source)
        assert b"".join(tap.sent) == bytes(tap.recorded) == flood
        return tap

    tap = asyncio.run(work())
    assert max(tap.parts) == PART_BYTES
    assert max(map(len, tap.sent)) == DATA_LIMIT_BYTES > PART_BYTES


def test_what_is_sent_goes_on_its_way_while_more_is_read():
    async def work():
        tap = Tap(window_bytes=1_000_000)
        tap.rounds = 1
        flood_of(tap, 512 * 1024)
        os.close(tap.into)
        await asyncio.wait_for(tap.faucet.run(), 5)
        os.close(tap.source)
        return tap.ahead

    assert asyncio.run(work()) < 3 * DATA_LIMIT_BYTES


def test_what_cannot_be_recorded_is_not_sent_and_ends_it():
    async def work():
        tap = Tap(window_bytes=1_000_000)
        flood_of(tap, 300_000)
        tap.fails = OSError(28, "No space left on device")
        with pytest.raises(OSError, match="No space"):
            await asyncio.wait_for(tap.faucet.run(), 5)
        await asyncio.sleep(0.01)
        assert tap.sent == []
        for one in (tap.source, tap.into):
            os.close(one)

    asyncio.run(work())


def test_a_trickle_after_a_burst_holds_nothing_up():
    def trickle(into, ends):
        os.write(into, b"x" * 5000)
        while time.monotonic() < ends:
            os.write(into, b".")
            time.sleep(0.00001)

    async def work():
        tap = Tap(window_bytes=1_000_000)
        running = asyncio.create_task(tap.faucet.run())
        dripping = threading.Thread(target=trickle, args=(tap.into, time.monotonic() + 3))
        dripping.start()
        first = (await tap.frames(1))[0]
        assert dripping.is_alive()
        assert len(first) < 8_000
        await asyncio.to_thread(dripping.join)
        running.cancel()
        await asyncio.wait([running])
        for one in (tap.source, tap.into):
            os.close(one)

    asyncio.run(work())
