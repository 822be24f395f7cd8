"""Measure how long a command takes to two hundred devices and back, by the real command line.

A penguind with its mongod, the command line, and all devices in one process share this machine, so
what two hundred laptops do at the same time is done here one after another. Therefore three rounds:
devices that verify with gpgv, write down and answer, but run nothing; the same, with one gpgv for
all of them; and devices that do everything, with a real process each. One more device is a real
penguin-agent in a process of its own, which runs a real process in each round and waits for none of
the others: most often it is the first.

Run: python -m tests.bench.orders [--agents 200] [--rounds 5]
"""

from __future__ import annotations

import argparse
import asyncio
import getpass
import json
import os
import sys
import tempfile
import time
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from statistics import median
from typing import TYPE_CHECKING

from penguin_agent.orders.acts import Outcome
from penguin_agent.orders.judging import Judge
from penguindome.ids import new_ulid
from penguindome.orders.opening import open_order
from penguindome.times import utc_now
from penguindome.v1 import agent_pb2, agent_pb2_grpc
from tests.bench.wire import LIMITS, timed
from tests.harness.fleet import Fleet
from tests.harness.herd import Herd, connected
from tests.harness.process import BIN, environment

if TYPE_CHECKING:
    from collections.abc import Iterator

    from penguin_agent.agent import Agent
    from penguin_agent.orders.acts import Act, Order, Progress
    from penguin_agent.orders.judging import Opened
    from penguindome.envelope import Envelope

WORDS = ("run", "*", "--yes", "-o", "ndjson", "--user", getpass.getuser(), "--", "true")
# Everything is imported before ENTER; what is left is what the command does.
READY = """
import os, sys
os.environ.update(GRPC_VERBOSITY="NONE", GRPC_ENABLE_FORK_SUPPORT="0")
from penguinctl import cli, order_follow, order_results, running, signing, wire
from penguinctl.nouns import run, trust_server
import grpc, penguindome.channels
wire.order_pb2, wire.device_pb2
print(flush=True)
sys.stdin.readline()
sys.argv[1:] = WORDS
cli.main()
"""
# In a process of its own: the herd has no time to look at the clock.
STOPWATCH = """
import json, subprocess, sys, time
ready = sys.argv[1] == "1"
started = time.perf_counter()
process = subprocess.Popen(sys.argv[2:], stdin=subprocess.PIPE, stdout=subprocess.PIPE)
if ready:
    process.stdout.readline()
    started = time.perf_counter()
    process.stdin.write(b"\\n")
process.stdin.close()
lines = [(time.perf_counter() - started, line) for line in process.stdout]
ends = [seconds for seconds, line in lines if json.loads(line).get("state") == "succeeded"]
print(json.dumps([process.wait(), ends]))
"""
BAR_FIRST, BAR_ALL = 0.150, 2.0


class Light:
    """Answers without running anything."""

    async def run(self, _order: Order, _progress: Progress) -> Outcome:
        """Say that it went well."""
        return Outcome("succeeded", exit_code=0)

    async def resume(self, order: Order, progress: Progress) -> Outcome:
        """Say so again."""
        return await self.run(order, progress)


@dataclass
class Times:
    """Seconds from ENTER, one for each round."""

    first: list[float] = field(default_factory=list)
    everything: list[float] = field(default_factory=list)

    def show(self, name: str) -> None:
        """Print medians and minima."""
        first, whole = median(self.first), median(self.everything)
        print(
            f"{name}: first result {first * 1e3:.0f} ms (min {min(self.first) * 1e3:.0f}), "
            f"all {whole:.2f} s (min {min(self.everything):.2f})",
            flush=True,
        )


class Bench:
    """A fleet with connected devices."""

    def __init__(self, fleet: Fleet, herd: Herd) -> None:
        self.fleet = fleet
        self.herd = herd
        home = fleet.alice.folder
        self.environment = environment(
            HOME=str(home), XDG_CONFIG_HOME=str(home / "config"), GNUPGHOME=str(home / "gnupg")
        )

    def act(self, act: Act | None) -> None:
        """Have all devices act on commands like this; None means their own way."""
        for agent in self.herd.agents:
            agent.orders.acts["command"] = act or _own_act(agent)

    async def rounds(self, count: int, *, ready: bool) -> Times:
        """Order a command a few times; `ready` leaves the command line's start out."""
        times = Times()
        for _ in range(count):
            first, whole = await self._once(ready=ready)
            times.first.append(first)
            times.everything.append(whole)
        return times

    async def _once(self, *, ready: bool) -> tuple[float, float]:
        words = [str(BIN / "penguinctl"), *WORDS]
        if ready:
            words = [sys.executable, "-c", READY.replace("WORDS", repr(list(WORDS)))]
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-c", STOPWATCH, str(int(ready)), *words),
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.PIPE,
            env=self.environment,
        )
        printed, _ = await process.communicate()
        code, ends = json.loads(printed)
        assert code == 0
        assert len(ends) == len(self.herd.agents) + 1
        return ends[0], ends[-1]

    async def empty_call(self, count: int = 50) -> float:
        """Return the median seconds of a call that asks for nothing, of a connected device."""
        connection = self.herd.agents[0].link.connection
        assert connection is not None
        stub = agent_pb2_grpc.AgentServiceStub(connection.channel)
        took = []
        for _ in range(count):
            started = time.perf_counter()
            await stub.SubmitOrderUpdates(agent_pb2.SubmitOrderUpdatesRequest(), timeout=10)
            took.append(time.perf_counter() - started)
        return median(took)


_acts: dict[int, Act] = {}


def _own_act(agent: Agent) -> Act:
    return _acts[id(agent)]


@contextmanager
def verified_once() -> Iterator[None]:
    """Have one gpgv for all devices in this process: on laptops they run side by side."""
    original = Judge._open
    found: dict[bytes, asyncio.Task[Opened]] = {}

    async def shared(judge: Judge, envelope: Envelope) -> Opened:
        if envelope.payload not in found:
            found[envelope.payload] = asyncio.ensure_future(original(judge, envelope))
        return await asyncio.shield(found[envelope.payload])

    Judge._open = shared  # type: ignore[method-assign]
    try:
        yield
    finally:
        Judge._open = original  # type: ignore[method-assign]


def spread(seconds: list[float]) -> str:
    """Return a median and a minimum, in ms."""
    return f"median {median(seconds) * 1e3:.2f} ms, min {min(seconds) * 1e3:.2f}"


def on_the_agent(agent: Agent, envelope: Envelope, count: int = 30) -> None:
    """Print what one order costs an idle device."""
    trust, device = agent.base.trust.newest(), agent.identity.device
    assert trust is not None
    opening, accepting, syncing = [], [], []
    for _ in range(count):
        started = time.perf_counter()
        opened = open_order(
            envelope, trust=trust, fleet=device.fleet, device_id=device.device_id, now=utc_now()
        )
        opening.append(time.perf_counter() - started)
        payload = replace(opened.payload, id=new_ulid(utc_now()))
        started = time.perf_counter()
        agent.orders.store.accept(replace(opened, payload=payload), envelope, utc_now())
        accepting.append(time.perf_counter() - started)
        syncing.append(_synced(agent.base.settings.paths.state_dir))
    print(f"verification of an order, with gpgv: {spread(opening)}")
    print(
        f"accepted and on the disk: {spread(accepting)}; a bare write and fsync {spread(syncing)}"
    )


def _synced(folder: Path) -> float:
    started = time.perf_counter()
    with tempfile.TemporaryFile(dir=folder) as file:
        file.write(bytes(4096))
        file.flush()
        os.fsync(file.fileno())
        return time.perf_counter() - started


async def measure(fleet: Fleet, folder: Path, line: str, options: argparse.Namespace) -> None:
    """Print all figures."""
    async with asyncio.TaskGroup() as group:
        herd = Herd(folder, group)
        await herd.join(line, options.agents)
        await herd.wait(connected, 120)
        bench = Bench(fleet, herd)
        _acts.update({id(one): one.orders.acts["command"] for one in herd.agents})
        caught: list[Envelope] = []
        first = herd.agents[0]
        taken = first.orders.engine.put
        first.orders.engine.put = lambda one: (caught.append(one), taken(one))[1]  # type: ignore[method-assign]
        bench.act(Light())
        await bench.rounds(1, ready=False)
        print(f"{options.agents} devices, load {os.getloadavg()[0]:.1f}", flush=True)
        bare = [timed([sys.executable, "-c", "pass"]) for _ in range(9)]
        gpgv = [timed(["gpgv", "--version"]) for _ in range(9)]
        print(f"a bare interpreter: {spread(bare)}; a gpgv that does nothing: {spread(gpgv)}")
        print(f"an empty call of a device: {await bench.empty_call() * 1e3:.1f} ms")
        on_the_agent(first, caught[0])
        count = options.rounds
        plain = await bench.rounds(count, ready=False)
        plain.show("light devices, a gpgv each")
        warm = await bench.rounds(count, ready=True)
        warm.show("the same, penguinctl imported before")
        with verified_once():
            light = await bench.rounds(count, ready=False)
            light.show("light devices, one gpgv")
        bench.act(None)
        real = await bench.rounds(count, ready=False)
        real.show("devices with a process each")
        verdict([plain, light, real], warm, light)
        await herd.end()


def verdict(cold: list[Times], warm: Times, light: Times) -> None:
    """Hold the best rounds against the bar."""
    for name, found, bar in (
        ("first result", min(min(one.first) for one in cold), BAR_FIRST),
        ("first result without the start of penguinctl", min(warm.first), BAR_FIRST),
        ("all results of light devices with one gpgv", min(light.everything), BAR_ALL),
    ):
        held = "held" if found <= bar else "missed"
        print(f"{name}: best {found * 1e3:.0f} ms, bar {bar * 1e3:.0f} ms: {held}")
    print(f"load {os.getloadavg()[0]:.1f}")


def main() -> None:
    """Print the figures."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--agents", type=int, default=200)
    parser.add_argument("--rounds", type=int, default=5)
    options = parser.parse_args()
    with Fleet(settings=LIMITS) as fleet, tempfile.TemporaryDirectory(prefix="pd") as folder:
        line = fleet.alice.token("--uses", str(options.agents + 1))
        plugins = fleet.plugins(nothing="#!/bin/sh\necho 1\n")
        fleet.wait_for_report(fleet.device(plugins=plugins, token=line), 60)
        asyncio.run(measure(fleet, Path(folder), line, options))


if __name__ == "__main__":
    main()
