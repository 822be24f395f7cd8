"""Frames of a shell: what one end seals only the other end opens, once, in order."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from penguindome.errors import Forbidden
from penguindome.shell.frames import FRAME_LIMIT_BYTES
from penguindome.shell.resuming import Incoming, Outgoing
from penguindome.shell.sealing import DATA_LIMIT_BYTES, Ephemeral, Opener, Sealer


def pair(order=b"order", answer=b"answer"):
    operator, device = Ephemeral(), Ephemeral()
    ours = operator.agree(device.public, order, answer)
    assert ours == device.agree(operator.public, order, answer)
    return Sealer(ours, "to-device"), Opener(ours, "to-device"), ours


def test_what_is_sealed_is_opened():
    sealer, opener, _ = pair()
    for number in range(300):
        data = bytes([number % 256]) * number
        assert opener.open(sealer.seal(number % 256, data)) == (number % 256, data)


def test_the_largest_frame_is_handed_on_by_a_server():
    sealer, _, _ = pair()
    assert len(sealer.seal(16, bytes(DATA_LIMIT_BYTES))) == FRAME_LIMIT_BYTES


@pytest.mark.parametrize("meddle", ["repeat", "leave-out", "swap", "change", "cut", "make-up"])
def test_a_frame_that_is_meddled_with_is_refused(meddle):
    sealer, opener, _ = pair()
    frames = [sealer.seal(1, b"one"), sealer.seal(1, b"two"), sealer.seal(1, b"three")]
    opener.open(frames[0])
    second = {
        "repeat": frames[0],
        "leave-out": frames[2],
        "swap": frames[2],
        "change": frames[1][:-1] + bytes([frames[1][-1] ^ 1]),
        "cut": frames[1][:-1],
        "make-up": (1).to_bytes(8, "big") + b"\1" + b"x" * 19,
    }[meddle]
    with pytest.raises(Forbidden) as refused:
        opener.open(second)
    assert refused.value.code == "shell-tampered"
    # The true one is still the next.
    assert opener.open(frames[1]) == (1, b"two")


def test_a_frame_counts_in_its_own_direction_and_session_only():
    sealer, _, keys = pair()
    frame = sealer.seal(1, b"x")
    with pytest.raises(Forbidden):
        Opener(keys, "to-operator").open(frame)
    with pytest.raises(Forbidden):
        pair()[1].open(frame)


def test_keys_depend_on_order_and_answer():
    operator, device = Ephemeral(), Ephemeral()
    assert operator.agree(device.public, b"a", b"b") != operator.agree(device.public, b"ab", b"")


def test_a_weak_key_is_refused():
    with pytest.raises(Forbidden):
        Ephemeral().agree(b"\0" * 32, b"", b"")
    with pytest.raises(Forbidden):
        Ephemeral().agree(b"short", b"", b"")


class Way:
    """One direction of a session over links that are lost."""

    def __init__(self):
        self.sealer, self.opener, _ = pair()
        self.outgoing, self.incoming = Outgoing(), Incoming()
        self.arrived: list[bytes] = []
        self.under_way: list[bytes] = []

    def send(self, data):
        sealed = self.sealer.seal(1, data)
        self.outgoing.put(sealed)
        self.under_way.append(sealed)

    def arrive(self):
        new = [frame for frame in self.under_way if self.incoming.is_new(frame)]
        self.arrived.extend(self.opener.open(frame)[1] for frame in new)
        self.under_way.clear()

    def lose(self):
        """The link is lost with what is under way; the other end says what it has."""
        self.outgoing.acknowledged(self.incoming.count)
        self.under_way = list(self.outgoing.again())


@settings(deadline=None, max_examples=200)
@given(st.lists(st.binary(max_size=30), max_size=30), st.data())
def test_frames_arrive_once_and_in_order_over_links_that_are_lost(sent, data):
    way = Way()
    for one in sent:
        way.send(one)
        for act in data.draw(st.lists(st.sampled_from([way.arrive, way.lose]), max_size=3)):
            act()
        way.outgoing.acknowledged(data.draw(st.integers(0, way.incoming.count)))
    way.lose()
    way.arrive()
    assert way.arrived == sent
    way.outgoing.acknowledged(way.incoming.count)
    assert way.outgoing.is_settled


def test_nobody_acknowledges_what_was_never_sent():
    sealer, _, _ = pair()
    outgoing = Outgoing()
    outgoing.put(sealer.seal(1, b"x"))
    with pytest.raises(Forbidden):
        outgoing.acknowledged(2)


def test_a_full_window_leaves_no_room():
    outgoing = Outgoing(100)
    outgoing.put(b"x" * 100)
    assert outgoing.room == 0
    outgoing.acknowledged(1)
    assert outgoing.room == 100
