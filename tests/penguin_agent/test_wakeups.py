"""What ends a pause: the machine woke up, the network changed, somebody asked."""

import asyncio
import signal
import socket
import time
from datetime import timedelta

import pytest

from penguin_agent import wakeups
from penguin_agent.backoff import Backoff
from penguin_agent.link import Link
from penguin_agent.trust_store import TrustStore
from penguin_agent.wakeups import watch_network, watch_sleep
from penguindome.v1 import agent_pb2
from tests.penguin_agent.agent_process import eventually


class Nights:
    """A machine whose two clocks drift apart while it sleeps."""

    def __init__(self, *spans):
        self.asleep = 0.0
        self._spans = list(spans)

    async def pause(self, _seconds):
        if not self._spans:
            raise asyncio.CancelledError
        self.asleep += self._spans.pop(0)


@pytest.mark.parametrize(
    ("nights", "woken"), [((0, 0.01, 0), 0), ((36000, 0), 1), ((60, 0, 60), 2), ((5, 5, 5), 0)]
)
def test_each_sleep_is_noticed_once(nights, woken):
    machine, calls = Nights(*nights), []
    watch = watch_sleep(lambda: calls.append(1), asleep=lambda: machine.asleep, pause=machine.pause)
    with pytest.raises(asyncio.CancelledError):
        asyncio.run(watch)
    assert len(calls) == woken


def test_what_the_kernel_says_together_is_told_once(monkeypatch):
    monkeypatch.setattr(wakeups, "SETTLE_SECONDS", 0.05)
    ours, kernel = socket.socketpair(socket.AF_UNIX, socket.SOCK_DGRAM)
    ours.setblocking(False)
    with ours, kernel:
        for _message in range(5):
            kernel.send(b"x")
        asyncio.run(asyncio.wait_for(wakeups._something(ours), 5))
        with pytest.raises(BlockingIOError):
            ours.recv(1)


def test_the_network_is_watched_until_told_to_stop():
    async def scene():
        task = asyncio.create_task(watch_network(lambda: None))
        await asyncio.sleep(0.2)
        running = not task.done()
        task.cancel()
        await asyncio.wait({task})
        return running

    assert asyncio.run(scene())


@pytest.fixture
def link(tmp_path):
    """Return a maker of links of a device that has not been enrolled."""

    def make(backoff):
        nothing = dict.fromkeys(("identities", "clock", "hello", "handle", "group"))
        return Link(**nothing, trust=TrustStore(tmp_path / "trust"), backoff=backoff)

    return make


def rest(link, seconds, **words):
    async def scene():
        asyncio.get_running_loop().call_later(0.05, lambda: link.wake(**words))
        started = time.monotonic()
        await link._rest(seconds)
        return time.monotonic() - started

    return asyncio.run(scene())


def test_a_pause_ends_and_the_next_ones_are_short_again(link):
    backoff = Backoff(max, failures=20)
    assert rest(link(backoff), 5) < 1
    assert backoff.next_seconds() == 2.0


@pytest.mark.parametrize(("asked", "ended"), [(True, True), (False, False)])
def test_a_wish_of_the_server_outweighs_the_network_but_not_the_owner(link, asked, ended):
    patient = link(Backoff(max, failures=20))
    patient._patient = True
    assert (rest(patient, 0.5, asked=asked) < 0.4) is ended


@pytest.fixture
def far_away(agent, simulator):
    """Return an agent that the server sent away for an hour."""
    agent.enroll(simulator.token())
    agent.start()
    eventually(lambda: simulator.device.model.stored)
    simulator.push(go_away=agent_pb2.GoAway(retry_after_seconds=3600, reason="upgrade"))
    eventually(lambda: not agent.status()["connected"])
    return agent


@pytest.mark.parametrize("how", ["hangup", "collect-now"])
def test_the_owner_brings_a_device_back_at_once(far_away, simulator, how):
    if how == "hangup":
        far_away.daemon.send_signal(signal.SIGHUP)
    else:
        from penguin_agent.control import ask  # noqa: PLC0415 -- only here

        assert ask(far_away.folder / "run/agent.sock", "collect-now")["accepted"]
    eventually(lambda: far_away.status()["connected"], 5)
    assert len(simulator.device.checkins) == 2


def test_a_restarted_server_has_its_device_back_within_seconds(agent, simulator):
    agent.enroll(simulator.token())
    agent.start()
    eventually(lambda: simulator.device.model.stored)
    simulator.stop()
    time.sleep(1)
    simulator.start()
    eventually(lambda: agent.status().get("connected"), 10)


def test_pauses_reach_five_minutes_only_after_many_failures():
    backoff = Backoff(max)
    pauses = [backoff.next_seconds() for _failure in range(10)]
    assert sum(pauses[:4]) == 30
    assert pauses.index(300) == 8
    assert timedelta(seconds=max(pauses)) == timedelta(minutes=5)
