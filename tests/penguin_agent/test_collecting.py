"""The collecting loop under clocks that jump, machines that sleep and requests that flood."""

import asyncio
from datetime import UTC, datetime, timedelta
from types import SimpleNamespace

import pytest

from penguin_agent.clock import DeviceClock
from penguin_agent.collect.collector import Collected
from penguin_agent.collect.schedule import Schedule
from penguin_agent.collecting import REQUESTS_WAITING, Collecting
from penguin_agent.connection import CollectWanted
from penguin_agent.dead_letters import DeadLetters
from penguin_agent.spool_folder import Acknowledged
from tests.penguin_agent.spool_machine import World, output, value

NOW = datetime(2030, 6, 1, tzinfo=UTC)


class FakeCollector:
    """Stands for the plugins: a peer of the loop, not a part of it."""

    def __init__(self):
        self.runs = []
        self.dropped = False
        self.present = ("disks",)

    def names(self):
        return self.present

    def benched(self):
        return ()

    async def collect(self, names):
        self.runs.append(names)
        found = () if self.dropped else self.present
        outputs = tuple(output(name, value(len(self.runs))) for name in found)
        return Collected(outputs, self.dropped, present=self.present)


class Rig:
    def __init__(self, folder):
        self.wall, self.steady = NOW, 1000.0
        self.collector = FakeCollector()
        self.spool = World(folder).spool
        self.woken = []
        self.loop = Collecting(
            collector=self.collector,
            schedule=Schedule(
                interval=timedelta(minutes=5), plugin_intervals={}, random=lambda: 0.0
            ),
            spool=self.spool,
            submitter=SimpleNamespace(wake=lambda **words: self.woken.append(words)),
            dead_letters=DeadLetters(folder / "dead-letters"),
            clock=DeviceClock(lambda: self.wall, lambda: self.steady),
            boot_id="boot",
            version="1",
            steady=lambda: self.steady,
        )

    async def turn(self, *requests):
        """Let the loop run until it waits; a request that nobody knows wakes it again."""
        for request in requests:
            self.loop.ask(request)
        task = asyncio.ensure_future(self.loop.run())
        await asyncio.sleep(0.2)
        task.cancel()
        await asyncio.wait({task})


@pytest.fixture
def rig(folder):
    return Rig(folder)


def test_a_wall_clock_that_jumps_moves_no_collection(rig):
    asyncio.run(rig.turn())
    for years in (-5, 5):
        rig.wall = NOW + timedelta(days=365 * years)
        asyncio.run(rig.turn())
    assert len(rig.collector.runs) == 1


def test_a_collection_that_became_due_during_sleep_happens_once(rig):
    asyncio.run(rig.turn())
    rig.steady += 8 * 3600
    asyncio.run(rig.turn())
    assert len(rig.collector.runs) == 2
    assert rig.spool.depth == 2


def test_a_dropped_collection_leaves_no_report(rig):
    rig.collector.dropped = True
    asyncio.run(rig.turn())
    assert rig.spool.depth == 0


def test_an_answer_to_a_request_is_urgent(rig):
    asyncio.run(rig.turn(CollectWanted(("disks",), "r1")))
    assert {"urgent": True} in rig.woken
    assert rig.spool.current.outputs["agent"].json


def test_a_device_without_plugins_reports_that_its_agent_lives(rig):
    rig.collector.present = ()
    asyncio.run(rig.turn())
    assert rig.spool.depth == 1
    assert set(rig.spool.current.outputs) == {"agent"}


def test_the_last_plugin_that_goes_leaves_the_state(rig):
    asyncio.run(rig.turn())
    rig.collector.present = ()
    rig.steady += 600
    asyncio.run(rig.turn())
    assert set(rig.spool.current.outputs) == {"agent"}


def test_a_flood_of_requests_is_bounded(rig):
    wanted = CollectWanted((), "r")
    accepted = [rig.loop.ask(wanted) for _request in range(100)]
    assert accepted.count(True) == REQUESTS_WAITING


def test_the_confirmed_state_starts_empty():
    assert Acknowledged().key == ""
