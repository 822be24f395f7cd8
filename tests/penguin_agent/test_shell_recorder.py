"""Recordings on the device: exact whatever is shown, signed, bounded, and sealed."""

from __future__ import annotations

import asyncio
import os
import random
import shutil
import subprocess
import time

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from penguin_agent.shell.recorder import PART_BYTES, PIECE_SECONDS
from penguin_agent.shell.sealed_recording import seal, sealer
from penguindome.errors import LimitExceeded, PreconditionFailed
from penguindome.shell.transcript import PIECE_LIMIT_BYTES, read_checkpoint
from tests.penguin_agent.recordings import events, read_all, recorder_in, shown, verified
from tests.penguin_agent.shell_pair import Pair

# Whole characters, halves of them, bytes that are none, and what JSON has to escape.
PARTS = st.sampled_from(
    [b"a", "ü".encode(), b"\xe2\x82", b"\xac", b"\xff", b"\0", b"\x1b[1m", b'"\n']
)


def recorded(folder, parts, *, at_once=True, **more):
    async def work():
        recorder, pieces = recorder_in(folder, **more)
        for part in parts:
            if at_once and recorder.has_room(len(part)):
                recorder.output_soon(part)
            else:
                await recorder.add(recorder.lines(part))
        await recorder.end("exit 0")
        return recorder, read_all(pieces)

    return asyncio.run(work())


@settings(deadline=None, max_examples=80)
@given(st.lists(st.lists(PARTS, min_size=1, max_size=4).map(b"".join), max_size=12), st.booleans())
def test_any_bytes_are_recorded_exactly(tmp_path_factory, parts, at_once):
    recorder, found = recorded(tmp_path_factory.mktemp("r"), parts, at_once=at_once)
    assert shown(found) == b"".join(parts)
    result = verified(found)
    assert (result.problem, result.is_complete) == ("", True)
    assert result.chain == recorder.chain


@pytest.mark.parametrize("byte", [b"\0", b"\x80", b"\x1b", b"a", b"\0\xff"])
def test_no_piece_is_larger_than_the_server_takes(tmp_path, byte):
    part = byte * (PART_BYTES // len(byte))
    _, found = recorded(tmp_path, [b"b" * 60_000, *[part] * 12])
    assert max(len(piece.data) for piece in found) <= PIECE_LIMIT_BYTES
    assert shown(found) == b"b" * 60_000 + part * 12
    assert verified(found).is_complete


def test_sizes_and_markers_stand_between_what_was_shown(tmp_path):
    async def work():
        recorder, pieces = recorder_in(tmp_path)
        await recorder.add(recorder.lines(b"before"))
        recorder.output_soon(b"soon")
        recorder.resized(132, 43)
        recorder.output_soon(b"again")
        recorder.mark("a word")
        recorder.output_soon(b"once more")
        await recorder.add(recorder.lines(b"after"))
        recorder.output_soon(b"last")
        await recorder.end("exit 3")
        return read_all(pieces)

    found = list(events(asyncio.run(work())))
    assert [(kind, text) for _, kind, text in found] == [
        ("o", "before"), ("o", "soon"), ("r", "132x43"), ("o", "again"), ("m", "a word"),
        ("o", "once more"), ("o", "after"), ("o", "last"), ("m", "exit 3"),
    ]  # fmt: skip
    times = [time for time, _, _ in found]
    assert times == sorted(times)


def test_what_is_recorded_soon_is_in_the_next_piece_with_the_time_it_had(tmp_path):
    async def work():
        recorder, pieces = recorder_in(tmp_path)
        recorder.output_soon(b"alone")
        running = asyncio.create_task(recorder.run())
        async with asyncio.timeout(5):
            while not pieces.numbers():  # noqa: ASYNC110 -- a test
                await asyncio.sleep(0.01)
        running.cancel()
        assert shown(read_all(pieces)) == b"alone"
        await recorder.end("exit 0")
        return read_all(pieces)

    (shown_at, _, text), (ended_at, _, _) = events(asyncio.run(work()))
    assert text == "alone"
    assert ended_at - shown_at >= PIECE_SECONDS * 0.9


def test_what_has_to_wait_is_not_recorded_at_once(tmp_path):
    async def work():
        recorder, pieces = recorder_in(tmp_path, backlog_bytes=300_000)
        shown_at_once = 0
        while recorder.has_room(1000):
            recorder.output_soon(b"x" * 1000)
            shown_at_once += 1
            # Never much of it is still to be recorded.
            assert recorder.recorded_bytes > 1000 * (shown_at_once - 20)
        assert 400 < shown_at_once < 490
        assert pieces.numbers() == []
        # The piece is written by who may wait; then the server has to take some first.
        waits = asyncio.create_task(recorder.add(recorder.lines(b"y" * 100_000)))
        await asyncio.sleep(0.05)
        assert not waits.done()
        assert not recorder.has_room(1)
        pieces.drop(0)
        await waits
        assert recorder.has_room(1)
        await recorder.end("exit 0")

    asyncio.run(work())


async def flood(recorder):
    for _ in range(100):
        await recorder.add(recorder.lines(b"x" * 60_000))


def test_a_recording_that_is_too_long_says_so_and_still_has_an_end(tmp_path):
    async def work():
        recorder, pieces = recorder_in(tmp_path, limit_bytes=600_000)
        with pytest.raises(LimitExceeded) as caught:
            await flood(recorder)
        assert caught.value.code == "recording-full"
        await recorder.end("ended: the recording is as long as it may be")
        return read_all(pieces)

    found = asyncio.run(work())
    assert verified(found).is_complete
    assert sum(len(piece.data) for piece in found) < 1_000_000


def test_who_prints_more_than_may_wait_for_the_server_waits(tmp_path):
    async def work():
        recorder, pieces = recorder_in(tmp_path, backlog_bytes=600_000)

        async def prints():
            while True:
                await flood(recorder)

        printing = asyncio.create_task(prints())
        await asyncio.sleep(0.5)
        before = recorder.recorded_bytes
        await asyncio.sleep(0.3)
        assert recorder.recorded_bytes == before < 1_500_000
        for number in pieces.numbers():
            pieces.drop(number)
        await asyncio.sleep(0.3)
        assert recorder.recorded_bytes > before
        printing.cancel()

    asyncio.run(work())


def test_pieces_keep_their_order_however_long_sealing_takes(tmp_path):
    chance = random.Random(3)

    def slowly(data):
        time.sleep(chance.uniform(0, 0.03))
        return data

    async def work():
        recorder, pieces = recorder_in(tmp_path, seal=slowly)
        seen = []
        put = pieces.put

        def noted(number, *rest, **more):
            seen.append(number)
            put(number, *rest, **more)

        pieces.put = noted
        # Whoever writes may be called off at any moment; what was begun is written nonetheless.
        for round_ in range(30):
            recorder.mark(str(round_))
            writing = asyncio.create_task(recorder._write())
            await asyncio.sleep(chance.uniform(0, 0.02))
            writing.cancel()
        await recorder.end("exit 0")
        return seen, read_all(pieces)

    seen, found = asyncio.run(work())
    assert seen == sorted(seen)
    assert seen == list(range(len(seen)))
    assert verified(found).is_complete
    assert [text for _, kind, text in events(found)] == [*map(str, range(30)), "exit 0"]


def test_a_sealed_piece_is_the_auditors_alone(tmp_path):
    homes = [tmp_path / name for name in "ab"]
    gpg = [
        ["gpg", "--homedir", str(home), "--batch", "--quiet", "--passphrase", ""] for home in homes
    ]
    try:
        exported = []
        for home, words in zip(homes, gpg, strict=True):
            home.mkdir(mode=0o700)
            make = [*words, "--quick-generate-key", home.name, "default", "default", "never"]
            subprocess.run(make, check=True, capture_output=True, timeout=60)
            done = subprocess.run([*words, "--export"], check=True, capture_output=True, timeout=60)
            exported.append(done.stdout)
        _, found = recorded(tmp_path, [b"a secret"], seal=sealer(exported))
        (piece,) = found
        assert piece.is_sealed
        assert b"a secret" not in piece.data
        # The chain is over what was recorded, not over how it was sealed.
        assert read_checkpoint(piece.checkpoint).final
        for words in gpg:
            done = subprocess.run(
                [*words, "--decrypt"], input=piece.data, check=True, capture_output=True, timeout=60
            )
            assert b"a secret" in done.stdout
    finally:
        for home in homes:
            subprocess.run(
                ["gpgconf", "--homedir", str(home), "--kill", "all"], check=False, timeout=20
            )


def test_keys_that_cannot_seal_are_said():
    with pytest.raises(PreconditionFailed) as caught:
        seal(b"data", [os.urandom(100)])
    assert caught.value.code == "not-sealed"
    assert sealer([]) is None


def test_a_session_that_cannot_be_recorded_ends(tmp_path):
    async def work():
        recorder, pieces = recorder_in(tmp_path)
        pair = Pair(("/bin/sh", "-c", "while :; do echo line; sleep 0.1; done"), size=None)
        pair.recorder = recorder
        async with pair:
            await pair.operator.see(b"line")
            assert not pair.ended.done()
            shutil.rmtree(pieces.path)
            how = await asyncio.wait_for(pair.ended, 10)
        assert how.code == "not-recorded"

    asyncio.run(work())
