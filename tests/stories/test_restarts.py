"""A server under load is told to stop, or is killed, and all its devices come back."""

from __future__ import annotations

import asyncio
import contextlib
import time

import grpc

from penguindome.v1 import agent_pb2
from tests.bench.simulated import SimulatedDevice, enroll, value
from tests.bench.wire import LIMITS
from tests.harness.fleet import Fleet
from tests.harness.reporter import output

DEVICES = 40
ROUNDS = 3
LONGEST_STOP_SECONDS = 10
LONGEST_RETURN_SECONDS = 30


class Busy:
    """A device that holds its stream and reports without a pause, whatever the server does."""

    def __init__(self, device: SimulatedDevice) -> None:
        self.device = device
        self.welcomes = 0
        self.goodbyes = 0
        self.acknowledged = 0

    async def live(self) -> None:
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(self._stay())
            tasks.create_task(self._report())

    async def _stay(self) -> None:
        while True:
            request = agent_pb2.CheckInRequest(hostname=self.device.reporter.hostname)
            with contextlib.suppress(grpc.RpcError):
                async for message in self.device.stub.CheckIn(request):
                    kind = message.WhichOneof("message")
                    self.welcomes += kind == "welcome"
                    self.goodbyes += kind == "go_away"
            await asyncio.sleep(0.2)

    async def _report(self) -> None:
        """Hand in changes; one that was not acknowledged is repeated as it is."""
        while True:
            self.device.turn += 1
            made = self.device.reporter.put(output("plugin0", value(0, self.device.turn)))
            report = self.device.reporter.delta(*made)
            while True:
                try:
                    await self.device.submit(report)
                except grpc.RpcError:
                    await asyncio.sleep(0.2)
                    continue
                self.acknowledged += 1
                break


@contextlib.asynccontextmanager
async def load(token: str):
    devices = await enroll(token, DEVICES)
    for device in devices:
        await device.first()
    crowd = [Busy(device) for device in devices]
    tasks = [asyncio.create_task(one.live()) for one in crowd]
    try:
        yield crowd
        assert not any(task.done() for task in tasks)
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.wait(tasks)
        for device in devices:
            await device.channel.close()


async def all_back(crowd: list[Busy]) -> float:
    """Wait until everybody is greeted anew and has a report acknowledged; return the seconds."""
    started = time.monotonic()
    before = [(one.welcomes, one.acknowledged) for one in crowd]
    async with asyncio.timeout(LONGEST_RETURN_SECONDS):
        while not all(  # noqa: ASYNC110 -- counters of many
            one.welcomes > welcomes and one.acknowledged > acknowledged
            for one, (welcomes, acknowledged) in zip(crowd, before, strict=True)
        ):
            await asyncio.sleep(0.05)
    return time.monotonic() - started


async def stop_and_start(fleet: Fleet, crowd: list[Busy]) -> str:
    goodbyes = sum(one.goodbyes for one in crowd)
    started = time.monotonic()
    assert await asyncio.to_thread(fleet.server.process.stop) == 0
    took = time.monotonic() - started
    assert took <= LONGEST_STOP_SECONDS
    said = sum(one.goodbyes for one in crowd) - goodbyes
    back = asyncio.create_task(all_back(crowd))
    await asyncio.to_thread(fleet.server.start)
    return f"stopped in {took:.1f} s, {said} told to come back, all back in {await back:.1f} s"


def test_devices_come_back_after_each_stop_under_load_and_after_a_kill(record_property):
    async def story(fleet: Fleet, token: str) -> list[str]:
        async with load(token) as crowd:
            await asyncio.sleep(1)
            lines = [await stop_and_start(fleet, crowd) for _ in range(ROUNDS)]
            back = asyncio.create_task(all_back(crowd))
            # Only penguind itself: what it started has to end with it.
            fleet.server.process._popen.kill()
            fleet.server.process.wait(10)
            await asyncio.to_thread(fleet.server.start)
            lines.append(f"killed; all back in {await back:.1f} s")
            return lines

    with Fleet(settings=LIMITS) as fleet:
        lines = asyncio.run(story(fleet, fleet.alice.token("--uses", str(DEVICES))))
        assert "Traceback" not in fleet.server.log()
        assert fleet.server.log().count("Stopped\n") == ROUNDS
    record_property("restarts", lines)
