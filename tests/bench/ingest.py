"""Measure how many reports a second are stored, with a mongod and the load on this machine.

Run: python -m tests.bench.ingest [--devices 200] [--seconds 5] [--profile]
"""

from __future__ import annotations

import argparse
import asyncio
import cProfile
import os
import pstats
import resource
import time
from typing import Any

from penguind.ingest import Ingest
from penguind.store.states import StateStore
from penguind.store.trail import TrailStore
from penguindome.report_wire import report_from_message, report_to_message
from penguindome.v1 import agent_pb2
from tests.bench.simulated import PLUGINS, value
from tests.harness.database import child_mongod, fresh_database
from tests.harness.reporter import NOW, Reporter, output


class Fleet:
    """Devices that report as fast as they are answered."""

    def __init__(self, ingest: Ingest, states: StateStore, count: int) -> None:
        self.ingest = ingest
        self.states = states
        self.devices = [Reporter(f"d-{number:08d}", f"host-{number}") for number in range(count)]
        self.done = 0
        self.slowest: list[float] = []

    async def enroll(self) -> None:
        """Give every device a state."""
        for device in self.devices:
            device.put(*(output(f"plugin{n}", value(n, 0)) for n in range(PLUGINS)))
            await self.states.create(device.device_id, NOW)
        await asyncio.gather(*(self.submit(one, one.full()) for one in self.devices))

    async def submit(self, device: Reporter, report: Any) -> None:
        """Hand in a report as the service would, from bytes."""
        wire = report_to_message(report).SerializeToString()
        parsed = report_from_message(agent_pb2.SubmitReportRequest.FromString(wire))
        started = time.perf_counter()
        answer = await self.ingest.submit(device.device_id, device.hostname, parsed, NOW)
        self.slowest.append(time.perf_counter() - started)
        assert answer.stored
        self.done += 1

    async def run(self, seconds: float, *, changed: int) -> None:
        """Report for some seconds; `changed` outputs change with each report."""
        self.done, self.slowest = 0, []
        cpu = resource.getrusage(resource.RUSAGE_SELF)
        started = time.perf_counter()
        await asyncio.gather(
            *(self._live(device, started + seconds, changed) for device in self.devices)
        )
        elapsed = time.perf_counter() - started
        used = resource.getrusage(resource.RUSAGE_SELF)
        spent = used.ru_utime - cpu.ru_utime + used.ru_stime - cpu.ru_stime
        times = sorted(self.slowest)
        print(
            f"{changed} changed: {self.done / elapsed:.0f} reports/s, "
            f"{spent / self.done * 1e6:.0f} us of Python each (load generator included), "
            f"p50 {times[len(times) // 2] * 1e3:.0f} ms, "
            f"p99 {times[-len(times) // 100] * 1e3:.0f} ms"
        )

    async def _live(self, device: Reporter, until: float, changed: int) -> None:
        turn = 0
        while time.perf_counter() < until:
            turn += 1
            outputs = [output(f"plugin{n}", value(n, turn)) for n in range(changed)]
            await self.submit(device, device.delta(*device.put(*outputs)))


async def measure(uri: str, options: argparse.Namespace) -> None:
    """Print the figures."""
    async with fresh_database(uri) as database:
        states, trail = StateStore(database), TrailStore(database)
        await states.prepare()
        await trail.prepare()
        ingest = Ingest(database, states, trail, on_changed=lambda _: None)
        worker = asyncio.create_task(ingest.run())
        fleet = Fleet(ingest, states, options.devices)
        await fleet.enroll()
        profile = cProfile.Profile()
        if options.profile:
            profile.enable()
        for changed in (0, 1, 3):
            await fleet.run(options.seconds, changed=changed)
        if options.profile:
            profile.disable()
            pstats.Stats(profile).sort_stats("tottime").print_stats(28)
        worker.cancel()
        await asyncio.wait([worker])


def main() -> None:
    """Run it on PENGUIND_TEST_URI or on a mongod of its own."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--devices", type=int, default=200)
    parser.add_argument("--seconds", type=float, default=5)
    parser.add_argument("--profile", action="store_true")
    options = parser.parse_args()
    given = os.environ.get("PENGUIND_TEST_URI")
    if given:
        asyncio.run(measure(given, options))
        return
    with child_mongod() as uri:
        asyncio.run(measure(uri, options))


if __name__ == "__main__":
    main()
