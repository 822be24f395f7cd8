"""Simulated devices that hand in numbered reports and repeat each one until it is acknowledged."""

from __future__ import annotations

import asyncio
import threading
from typing import Any

import grpc

from tests.bench.simulated import SimulatedDevice, enroll

PATIENCE_SECONDS = 0.1
CALL_SECONDS = 10


class Reporters:
    """Devices in a thread with a loop of its own; they work until they are told to stop."""

    def __init__(self, token: str, number: int) -> None:
        """Enroll the devices and start reporting."""
        self._stop = threading.Event()
        self._failure: BaseException | None = None
        self._ready = threading.Event()
        self.devices: list[SimulatedDevice] = []
        self._thread = threading.Thread(target=self._run, args=(token, number), name="reporters")
        self._thread.start()
        self._ready.wait(60)

    def stop(self) -> dict[str, int]:
        """Let each device finish its report; return the last acknowledged number by device id."""
        self._stop.set()
        self._thread.join(120)
        assert not self._thread.is_alive(), "a report was never acknowledged"
        if self._failure is not None:
            raise self._failure
        return {device.reporter.device_id: device.turn for device in self.devices}

    def _run(self, token: str, number: int) -> None:
        try:
            asyncio.run(self._live(token, number))
        except BaseException as error:  # noqa: BLE001 -- the other thread shall see it
            self._failure = error
        finally:
            self._ready.set()

    async def _live(self, token: str, number: int) -> None:
        self.devices = await enroll(token, number)
        self._ready.set()
        await asyncio.gather(*(self._report(device) for device in self.devices))
        for device in self.devices:
            await device.channel.close()

    async def _report(self, device: SimulatedDevice) -> None:
        device.reporter.set(counter={"count": 0})
        await _until_stored(device, device.reporter.full())
        while not self._stop.is_set():
            number = device.turn + 1
            report = device.reporter.delta(*device.reporter.set(counter={"count": number}))
            await _until_stored(device, report)
            device.turn = number


async def _until_stored(device: SimulatedDevice, report: Any) -> None:
    """Repeat one report, unchanged, until the server says that it is stored."""
    while True:
        try:
            await asyncio.wait_for(device.submit(report), CALL_SECONDS)
        except (grpc.aio.AioRpcError, TimeoutError):
            await asyncio.sleep(PATIENCE_SECONDS)
        else:
            return
