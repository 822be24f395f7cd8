"""What the server does between the two ends of a shell: nothing is lost, repeated or moved.

Both ends are the real ones; legs are lost at any moment, with all that is under way on them.
"""

from __future__ import annotations

import asyncio

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from penguind.shells import live
from penguindome.shell.endpoint import Endpoint, Mark
from penguindome.shell.frames import Frame
from penguindome.shell.sealing import Ephemeral

ENDS = ("operator", "device")
# What happens next: an end sends, a few messages pass one way, a leg is lost or comes.
MOVES = st.lists(
    st.tuples(
        st.sampled_from(["send", "up", "down", "lose", "join"]),
        st.sampled_from(ENDS),
        st.integers(1, 4),
    ),
    max_size=80,
)


class End:
    """One honest end and its leg."""

    def __init__(self, session, name, endpoint):
        self.session, self.name, self.endpoint = session, name, endpoint
        self.leg = None
        self.sent, self.got = [], []

    def join(self):
        if self.leg is not None:
            self.lose()
        received = self.endpoint.received
        if self.name == "operator":
            self.leg = self.session.join_operator(received)
        else:
            self.leg = self.session.join_device(live.Answered(b"answer", b"signature", received))

    def lose(self):
        if self.leg is not None:
            self.endpoint.lost()
            self.session.leave(self.leg, 0.0)
            self.leg = None

    def send(self):
        kind = Frame.INPUT if self.name == "operator" else Frame.OUTPUT
        data = b"%d" % len(self.sent)
        self.sent.append(data)
        self.endpoint.send(kind, data)

    def up(self):
        """Hand one message of the endpoint to the server; tell whether there was one."""
        if (
            self.leg is None
            or not self.endpoint.is_joined
            or (what := self.endpoint.take_write()) is None
        ):
            return False
        if isinstance(what, bytes):
            message = live.Frame(what)
        else:
            message = None if isinstance(what, Mark) else live.Acknowledged(what)
        take = self.session.from_operator if self.name == "operator" else self.session.from_device
        take(self.leg, message)
        return True

    def down(self):
        """Take one message from the server; tell whether there was one."""
        message = self.leg.take() if self.leg is not None else None
        if isinstance(message, live.Frame):
            taken = self.endpoint.take(message.data)
            if taken is not None:
                self.got.append(taken[1])
                self.endpoint.consumed(len(taken[1]) + 20_000)
        elif isinstance(message, live.Acknowledged):
            self.endpoint.acknowledged(message.count)
        elif isinstance(message, live.Answered | live.OperatorHere):
            self.endpoint.joined(message.count)
        elif isinstance(message, live.OperatorLost):
            self.endpoint.lost()
        return message is not None


def pair(**more):
    ours, theirs = Ephemeral(), Ephemeral()
    session = live.LiveSession("o", "d", "alice", **more)
    operator = Endpoint(ours.agree(theirs.public, b"o", b"a"), "to-device")
    device = Endpoint(theirs.agree(ours.public, b"o", b"a"), "to-operator")
    return session, {
        "operator": End(session, "operator", operator),
        "device": End(session, "device", device),
    }


async def play(ends, moves):
    for what, name, count in moves:
        end = ends[name]
        for _ in range(count if what in {"send", "up", "down"} else 1):
            if what == "up":
                end.up()
            else:
                getattr(end, what)()


async def settle(ends):
    """Let everything pass until nothing moves."""
    moved = True
    while moved:
        moved = False
        for end in ends.values():
            moved = end.up() or moved
            moved = end.down() or moved


@settings(deadline=None, max_examples=400)
@given(MOVES)
def test_between_honest_ends_nothing_is_lost_repeated_or_moved(moves):
    async def work():
        session, ends = pair()
        await play(ends, moves)
        for name, other in zip(ENDS, reversed(ENDS), strict=True):
            assert ends[other].got == ends[name].sent[: len(ends[other].got)]
        for end in ends.values():
            end.lose()
        for end in ends.values():
            end.join()
        await settle(ends)
        assert session.ended_reason == ""
        for name, other in zip(ENDS, reversed(ENDS), strict=True):
            assert ends[other].got == ends[name].sent

    asyncio.run(work())


@settings(deadline=None, max_examples=150)
@given(MOVES)
def test_nothing_passes_while_nobody_watches_who_has_to(moves):
    async def work():
        session, ends = pair(moderators=frozenset({"bob"}))
        session.watch("alice")
        await play(ends, moves)
        assert [end.got for end in ends.values()] == [[], []]
        for end in ends.values():
            end.join()
        session.watch("bob")
        ends["operator"].send()
        await settle(ends)
        assert ends["device"].got == ends["operator"].sent
        session.unwatch("bob")
        ends["operator"].send()
        before = list(ends["device"].got)
        messages = list(iter(ends["device"].leg.take, None))
        assert any(isinstance(one, live.EndWanted) for one in messages)
        ends["operator"].up()
        assert ends["device"].got == before

    asyncio.run(work())


@pytest.mark.parametrize("name", ENDS)
@pytest.mark.parametrize("message", [live.Frame(b"x" * 65536), live.Acknowledged(1)])
def test_an_end_that_sends_without_end_ends_the_session_and_costs_no_memory(name, message):
    async def work():
        session, ends = pair()
        for end in ends.values():
            end.join()
        await settle(ends)
        other = ends[ENDS[1 - ENDS.index(name)]]
        take = session.from_operator if name == "operator" else session.from_device
        for _ in range(100_000 if isinstance(message, live.Acknowledged) else 1000):
            take(ends[name].leg, message)
        assert "more than it may" in session.ended_reason
        waiting = list(iter(other.leg.take, None))
        frames = sum(len(one.data) for one in waiting if isinstance(one, live.Frame))
        assert frames <= live.WAITING_BYTES + 65536
        assert len(waiting) < 20_000

    asyncio.run(work())


def test_a_leg_that_was_replaced_has_no_say():
    async def work():
        session, ends = pair()
        for end in ends.values():
            end.join()
        await settle(ends)
        former = ends["operator"].leg
        ends["operator"].endpoint.lost()
        ends["operator"].leg = session.join_operator(ends["operator"].endpoint.received)
        await settle(ends)
        session.from_operator(former, live.Frame(b"late"))
        session.leave(former, 0.0)
        assert former.over
        assert ends["device"].leg.take() is None
        assert session.operator_leg is ends["operator"].leg

    asyncio.run(work())
