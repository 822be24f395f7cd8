from __future__ import annotations

import asyncio
import os
import shutil
import signal
from pathlib import Path
from tempfile import mkdtemp

import pytest

from penguind.ingest import Ingest
from penguind.mongod.child import Mongod
from penguind.store.database import open_database
from penguind.store.states import StateStore
from penguind.store.trail import TrailStore
from penguindome.errors import Unavailable
from tests.harness.reporter import NOW, Reporter

DEVICES = 20
ROUNDS = 60


class Story:
    """Devices report while the database is killed; each repeats what was not acknowledged."""

    def __init__(self, mongod, database, seconds=15.0):
        self.mongod = mongod
        self.database = database
        self.states = StateStore(database)
        self.trail = TrailStore(database)
        self.ingest = Ingest(
            database, self.states, self.trail, on_changed=lambda _: None, database_seconds=seconds
        )
        self.refused = 0
        self.acknowledged = 0

    async def hand_in(self, device, report):
        while True:
            try:
                answer = await self.ingest.submit(device.device_id, "web", report, NOW)
            except Unavailable:
                self.refused += 1
                await asyncio.sleep(0.05)
                continue
            assert answer.stored
            assert answer.state_hash == report.state_hash
            self.acknowledged += 1
            return

    async def live(self, device):
        await self.states.create(device.device_id, NOW)
        device.set(value=0)
        await self.hand_in(device, device.full())
        for turn in range(1, ROUNDS):
            await self.hand_in(device, device.delta(*device.set(value=turn)))

    async def kill_twice(self):
        for part in (1, 2):
            while self.acknowledged < DEVICES * ROUNDS * part / 3:  # noqa: ASYNC110 -- from outside
                await asyncio.sleep(0.01)
            os.kill(self.mongod.pid, signal.SIGKILL)

    async def check(self, devices):
        entries = [entry async for entry in self.database.db["trail"].find().sort("_id")]
        for device in devices:
            assert await self.states.state_hash(device.device_id) == device.hash
            own = [(e["old"], e["new"]) for e in entries if e["device_id"] == device.device_id]
            assert own == [(turn - 1, turn) for turn in range(1, ROUNDS)]


async def tell(folder):
    mongod = Mongod(folder)
    database = await open_database(await mongod.start(), "outage")
    story = Story(mongod, database)
    await story.states.prepare()
    await story.trail.prepare()
    workers = [asyncio.create_task(part.run()) for part in (mongod, story.ingest)]
    devices = [Reporter(f"d-{number}") for number in range(DEVICES)]
    try:
        async with asyncio.timeout(90):
            await asyncio.gather(story.kill_twice(), *map(story.live, devices))
            await story.check(devices)
    finally:
        workers[1].cancel()
        await database.close()
        await mongod.stop()
        await asyncio.wait(workers)
    return story


def test_nothing_is_lost_or_doubled_when_the_database_is_killed():
    folder = Path(mkdtemp(prefix="pd", dir="/tmp"))
    try:
        story = asyncio.run(tell(folder))
        assert story.acknowledged == DEVICES * ROUNDS
    finally:
        shutil.rmtree(folder)


def test_absent_database_is_said_in_time_and_comes_back():
    folder = Path(mkdtemp(prefix="pd", dir="/tmp"))

    async def main():
        mongod = Mongod(folder)
        uri = await mongod.start()
        database = await open_database(uri, "outage", selection_milliseconds=500)
        story = Story(mongod, database, seconds=1)
        device = Reporter("d-1")
        await story.states.create("d-1", NOW)
        worker = asyncio.create_task(story.ingest.run())
        device.set(value=1)
        report = device.full()
        # A database that hangs is as good as away; the report is stored once all the same.
        os.kill(mongod.pid, signal.SIGSTOP)
        with pytest.raises(Unavailable):
            await story.ingest.submit("d-1", "web", report, NOW)
        os.kill(mongod.pid, signal.SIGCONT)
        await story.hand_in(device, report)
        report = device.delta(*device.set(value=2))
        await mongod.stop()
        with pytest.raises(Unavailable) as caught:
            await story.ingest.submit("d-1", "web", report, NOW)
        assert caught.value.retry_after_seconds > 0
        again = Mongod(folder)
        await again.start()
        await story.hand_in(device, report)
        assert (await story.states.snapshot("d-1")).values == {"value": 2}
        assert await database.db["trail"].count_documents({}) == 1
        worker.cancel()
        await asyncio.wait([worker])
        await database.close()
        await again.stop()

    try:
        asyncio.run(main())
    finally:
        shutil.rmtree(folder)
