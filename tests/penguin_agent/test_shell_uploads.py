"""Recordings on their way to the server: in order, across restarts, whatever is damaged."""

from __future__ import annotations

import asyncio
import random

import pytest

from penguin_agent.backoff import Backoff
from penguin_agent.shell.uploads import Uploads
from penguindome.errors import Damaged, Unavailable
from tests.penguin_agent.recordings import ORDER, read_all, recorder_in, verified


class Server:
    """Takes pieces, or does not."""

    def __init__(self):
        self.pieces = {}
        self.order = []
        self.failures = 0
        self.knows = True

    async def submit_piece(self, order_id, number, piece):
        assert order_id == ORDER
        if self.failures:
            self.failures -= 1
            raise Unavailable("not now")
        if self.knows:
            self.order.append(number)
            self.pieces[number] = piece
        return self.knows


def recorded(folder, *, ends=True):
    """Leave a recording of four pieces in a folder; return it as it was written."""

    async def work():
        recorder, pieces = recorder_in(folder)
        for number in range(3):
            await recorder.add(recorder.lines(b"%d" % number * 60_000))
            await recorder._write()
        if ends:
            await recorder.end("exit 0")
        return read_all(pieces)

    return asyncio.run(work())


def hand_in(folder, server, *, until, seconds=10):
    """Run uploads as after a start of the agent, until something holds."""

    async def work():
        uploads = Uploads(folder, server, Backoff(random.uniform, 0.01, 0.05))
        running = asyncio.create_task(uploads.run())
        async with asyncio.timeout(seconds):
            while not until():  # noqa: ASYNC110 -- a test
                await asyncio.sleep(0.01)
        running.cancel()

    asyncio.run(work())


def gone(folder):
    return lambda: not (folder / ORDER).exists()


def test_what_an_earlier_run_left_is_handed_in_and_forgotten(tmp_path):
    written = recorded(tmp_path)
    server = Server()
    server.failures = 3
    hand_in(tmp_path, server, until=gone(tmp_path))
    assert server.order == [0, 1, 2, 3]
    assert list(server.pieces.values()) == written
    assert verified(written).is_complete


def test_a_recording_without_an_end_is_handed_in_and_forgotten_too(tmp_path):
    written = recorded(tmp_path, ends=False)
    server = Server()
    hand_in(tmp_path, server, until=gone(tmp_path))
    assert list(server.pieces.values()) == written
    assert verified(written).problem == "its end is missing"


def test_a_server_that_does_not_know_the_session_wants_nothing(tmp_path):
    recorded(tmp_path)
    server = Server()
    server.knows = False
    hand_in(tmp_path, server, until=gone(tmp_path))
    assert server.order == []


@pytest.mark.parametrize("damage", [b"", b"{", b"no json\nlines", b'{"sealed": 1}\nx'])
def test_a_damaged_piece_holds_no_other_up_and_is_seen_to_be_missing(tmp_path, damage):
    recorded(tmp_path)
    (tmp_path / ORDER / "00000001").write_bytes(damage)
    server = Server()
    hand_in(tmp_path, server, until=gone(tmp_path))
    assert server.order == [0, 2, 3]
    result = verified(list(server.pieces.values()))
    assert not result.is_complete
    assert result.problem == "piece 1 belongs elsewhere"


def test_while_a_session_goes_on_its_recording_follows_at_a_pace(tmp_path):
    written, server, rests = recorded(tmp_path / "made"), Server(), []

    async def rest(seconds):
        rests.append(seconds)

    def put(pieces, number, *, durable):
        one = written[number]
        pieces.put(
            number, one.data, one.checkpoint, one.signature, sealed=False, durable=durable
        )  # fmt: skip

    async def work():
        uploads = Uploads(tmp_path / "kept", server, Backoff(random.uniform, 0.01, 0.05), rest)
        running = asyncio.create_task(uploads.run())
        pieces = uploads.folder(ORDER)
        for number in range(3):
            put(pieces, number, durable=False)
        async with asyncio.timeout(10):
            while pieces.numbers():  # noqa: ASYNC110 -- a test
                await asyncio.sleep(0.01)
        assert len(rests) == 3
        put(pieces, 3, durable=True)
        async with asyncio.timeout(10):
            while (tmp_path / "kept" / ORDER).exists():  # noqa: ASYNC110 -- a test
                await asyncio.sleep(0.01)
        running.cancel()

    asyncio.run(work())
    assert server.order == [0, 1, 2, 3]
    # The end, and what is much, does not wait.
    assert len(rests) == 3


def test_much_of_a_recording_does_not_wait(tmp_path):
    _, pieces = recorder_in(tmp_path, backlog_bytes=400)
    assert not pieces.is_pressing
    pieces.put(0, b"x" * 200, b"", b"", sealed=False, durable=False)
    assert not pieces.is_pressing
    pieces.put(1, b"x" * 100, b"", b"", sealed=False, durable=False)
    assert pieces.is_pressing


def test_strangers_in_the_folder_are_left_alone(tmp_path):
    recorded(tmp_path)
    (tmp_path / "notes").mkdir()
    (tmp_path / ORDER / ".00000009").write_bytes(b"half written")
    hand_in(tmp_path, Server(), until=gone(tmp_path))
    assert (tmp_path / "notes").is_dir()


def test_a_damaged_piece_is_told(tmp_path):
    recorded(tmp_path)
    _, pieces = recorder_in(tmp_path)
    (tmp_path / ORDER / "00000000").write_bytes(b"[]\n")
    with pytest.raises(Damaged):
        pieces.read(0)
