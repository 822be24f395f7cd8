"""Links of remote shells: silent ones are noticed, and slow readers hold senders up."""

import asyncio

import pytest

from penguindome.errors import Unavailable
from penguindome.shell.endpoint import Endpoint
from penguindome.shell.pulse import MISSED_BEATS, Pulse
from penguindome.shell.resuming import Incoming, Outgoing
from penguindome.shell.sealing import OVERHEAD_BYTES, Ephemeral


def sealed(number, size):
    """Return what a sealed frame looks like from outside."""
    return number.to_bytes(8, "big") + b"\x10" + bytes(size + OVERHEAD_BYTES - 9)


def test_a_link_without_an_answer_is_given_up_after_some_beats():
    beats = []
    with pytest.raises(Unavailable) as caught:
        asyncio.run(Pulse(lambda: beats.append(1), 0.01).run())
    assert (caught.value.code, len(beats)) == ("silent-link", MISSED_BEATS)


def test_a_link_that_answers_is_kept():
    async def run():
        beats = []

        def beat():
            beats.append(1)
            pulse.heard()

        pulse = Pulse(beat, 0.001)
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(pulse.run(), 0.1)
        return len(beats)

    assert asyncio.run(run()) > MISSED_BEATS


def test_what_waits_for_a_slow_reader_is_not_acknowledged():
    incoming = Incoming(acknowledge_bytes=100)
    for number in range(10):
        assert incoming.is_new(sealed(number, 100))
    assert incoming.count == 10
    assert [incoming.consumed(50) for _ in range(4)] == [None, 1, None, 2]


def test_a_slow_reader_has_no_more_than_a_window_waiting():
    outgoing, incoming = Outgoing(1000), Incoming(acknowledge_bytes=100)
    sent = waiting = most = 0
    for _ in range(200):
        while outgoing.room > 0:
            outgoing.put(sealed(sent, 100))
            assert incoming.is_new(sealed(sent, 100))
            sent, waiting = sent + 1, waiting + 100
        most = max(most, waiting)
        waiting -= 50
        if (count := incoming.consumed(50)) is not None:
            outgoing.acknowledged(count)
    assert most <= 1200


def test_frames_without_bytes_are_used_at_once():
    incoming = Incoming(acknowledge_bytes=10)
    incoming.is_new(sealed(0, 0))
    incoming.is_new(sealed(1, 10))
    incoming.is_new(sealed(2, 5))
    assert incoming.consumed(10) == 2


def test_more_than_there_is_means_everything():
    incoming = Incoming(acknowledge_bytes=10)
    incoming.is_new(sealed(0, 5))
    assert incoming.consumed(1000) == 1
    incoming.is_new(sealed(1, 5))
    assert incoming.consumed(4) is None
    assert incoming.consumed(10) == 2


def test_many_keystrokes_do_not_fill_the_window():
    outgoing, incoming = Outgoing(64 * 1024), Incoming(32 * 1024)
    for number in range(10_000):
        assert outgoing.room > 0
        outgoing.put(sealed(number, 1))
        assert incoming.is_new(sealed(number, 1))
        if (count := incoming.consumed(1)) is not None:
            outgoing.acknowledged(count)


def test_an_end_that_is_closed_has_sent_everything_before():
    async def work():
        theirs, ours = Ephemeral(), Ephemeral()
        endpoint = Endpoint(ours.agree(theirs.public, b"o", b"a"), "to-device")
        sent = []

        async def write(what):
            await asyncio.sleep(0.001)
            sent.append(what)

        writing = asyncio.create_task(endpoint.write_with(write))
        endpoint.joined(0)
        for number in range(5):
            endpoint.send(1, b"%d" % number)
        endpoint.close()
        await asyncio.wait_for(writing, 5)
        assert [one for one in sent if isinstance(one, bytes)] == sent[-5:]

    asyncio.run(work())


def written(endpoint, kind):
    """Return what an end has to write, of one kind."""
    return [one for one in iter(endpoint.take_write, None) if isinstance(one, kind)]


def test_what_was_used_while_there_was_no_link_is_acknowledged_over_the_next():
    async def work():
        theirs, ours = Ephemeral(), Ephemeral()
        operator = Endpoint(theirs.agree(ours.public, b"o", b"a"), "to-device", 1000)
        device = Endpoint(ours.agree(theirs.public, b"o", b"a"), "to-operator")
        operator.joined(0)
        device.joined(0)
        operator.send(1, b"x" * 2000)
        (frame,) = written(operator, bytes)
        assert device.take(frame) == (1, b"x" * 2000)
        # The server has not heard yet that it arrived, and the operator's leg is lost.
        operator.lost()
        device.lost()
        device.consumed(2000)
        operator.joined(0)
        device.joined(0)
        (again,) = written(operator, bytes)
        assert device.take(again) is None
        assert operator.room < 0
        for count in written(device, int):
            operator.acknowledged(count)
        assert operator.room == 1000

    asyncio.run(work())
