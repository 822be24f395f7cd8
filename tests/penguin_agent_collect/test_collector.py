"""Collections: in parallel within a bound, dropped at a shutdown, benched for abuse."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime, timedelta

import pytest

from penguin_agent.collect.collector import Collector, CollectSettings, exclusive
from penguin_agent.collect.reboot_guard import RebootGuard, changed, run_tool, settled
from penguin_agent.collect.runner import Ran
from penguindome.outputs import Output, OutputStatus

NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)
TARGETS = """\
basic.target        loaded active active Basic System
{extra}graphical.target    loaded active active Graphical Interface
"""


class Machine:
    """Answers as the tools of a machine whose targets change."""

    def __init__(self, *listings):
        self.listings = list(listings)

    async def __call__(self, words):
        if words[0] != "systemctl":
            return {"runlevel": "N 5\n", "who": None}[words[0]]
        extra = self.listings.pop(0) if len(self.listings) > 1 else self.listings[0]
        return TARGETS.format(extra=extra)


class Stub:
    """A runner whose plugins take a moment and may misbehave."""

    def __init__(self, abusers=()):
        self.abusers = set(abusers)
        self.running = self.most = 0
        self.order = []

    async def run(self, spec):
        self.order.append(spec.name)
        self.running += 1
        self.most = max(self.most, self.running)
        await asyncio.sleep(0.01)
        self.running -= 1
        abused = spec.name in self.abusers
        status, json = (OutputStatus.TIMEOUT, b"") if abused else (OutputStatus.OK, b"1")
        output = Output(spec.name, status, json, "late" if abused else "", NOW)
        return Ran(output, abused=abused)


@pytest.fixture
def collector(bed):
    for number in range(8):
        bed.shell(f"p{number}", "echo 1")

    def make(runner=None, machine=None, now=lambda: 0.0):
        settings = CollectSettings(bed.plugins, bed.local, bed.var, bed.work, parallel=3)
        return Collector(
            settings,
            clock=lambda: NOW,
            runner=runner,
            guard=RebootGuard(machine or Machine("")),
            monotonic=now,
        )

    return make


def test_all_run_sorted_and_never_more_than_the_bound(collector):
    stub = Stub()
    collected = asyncio.run(collector(stub).collect(None))
    assert [output.name for output in collected.outputs] == [f"p{n}" for n in range(8)]
    assert stub.most == 3
    assert not collected.dropped


def test_only_those_asked_for_run(collector):
    collected = asyncio.run(collector(Stub()).collect({"p3", "gone"}))
    assert [output.name for output in collected.outputs] == ["p3"]
    assert len(collected.present) == 8


def test_children_really_run(collector):
    collected = asyncio.run(collector().collect({"p1", "p2"}))
    assert [output.json for output in collected.outputs] == [b"1", b"1"]
    assert {output.collected_time for output in collected.outputs} == {NOW}


def test_collection_during_a_shutdown_is_dropped_and_says_so(collector):
    machine = Machine("", "shutdown.target loaded active active System Shutdown\n")
    one = collector(Stub(), machine)
    collected = asyncio.run(one.collect(None))
    assert collected.dropped
    assert collected.outputs == ()
    assert collected.reason == "systemctl changed meanwhile"
    assert {state.status for state in one.plugin_states()} == {""}


def test_bluetooth_coming_up_drops_nothing(collector):
    machine = Machine("", "bluetooth.target loaded active active Bluetooth Support\n")
    assert not asyncio.run(collector(Stub(), machine).collect(None)).dropped


def test_tool_that_fails_once_does_not_count():
    assert changed({"who": "run-level 5", "runlevel": "N 5"}, {"runlevel": "N 5"}) == ()
    assert changed({"runlevel": "N 5"}, {"runlevel": "5 6"}) == ("runlevel",)
    assert settled("runlevel", "N 5\n") == "N 5"


def test_missing_tool_has_no_answer():
    assert asyncio.run(run_tool(("pd-no-such-tool",))) is None
    assert asyncio.run(run_tool(("false",))) is None
    assert asyncio.run(run_tool(("echo", "hello"))) == "hello\n"


def test_abuser_is_benched_named_and_comes_back(collector):
    time = [0.0]
    stub = Stub({"p4"})
    one = collector(stub, now=lambda: time[0])

    async def story():
        await one.collect(None)
        await one.collect(None)
        assert one.benched() == ("p4",)
        benched = await one.collect(None)
        assert benched.benched == ("p4",)
        assert "p4" not in {output.name for output in benched.outputs}
        states = {state.name: state for state in one.plugin_states()}
        assert states["p4"].benched
        assert (states["p4"].status, states["p4"].reason) == ("timeout", "late")
        time[0] = timedelta(minutes=11).total_seconds()
        stub.abusers.clear()
        again = await one.collect({"p4"})
        assert again.outputs[0].status is OutputStatus.OK
        assert one.benched() == ()

    asyncio.run(story())


def test_plugins_that_appear_and_vanish_are_noticed(collector, bed):
    one = collector(Stub())
    bed.shell("fresh", "echo 1")
    (bed.plugins / "p0").unlink()
    collected = asyncio.run(one.collect(None))
    assert "fresh" in collected.present
    assert "p0" not in collected.present


def test_two_collections_wait_for_each_other(collector, bed):
    stub = Stub()

    async def both():
        async with exclusive(bed.work):
            task = asyncio.create_task(collector(stub).collect({"p1"}))
            await asyncio.sleep(0.1)
            assert stub.order == []
        return await task

    assert len(asyncio.run(both()).outputs) == 1


def test_work_folder_is_private_and_old_scratch_goes(collector, bed, is_private):
    (bed.work / "scratch" / "old").mkdir()
    asyncio.run(collector(Stub()).collect(set()))
    assert is_private(bed.work / "scratch")
    assert not (bed.work / "scratch" / "old").exists()
