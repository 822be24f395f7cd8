"""Workers: through outages of any length, never beyond their cancellation."""

from __future__ import annotations

import asyncio
import contextlib
import os
import shutil
import signal
from datetime import UTC, datetime
from pathlib import Path
from tempfile import mkdtemp

import logbook
import pytest

from penguind.admission import Admission
from penguind.audit import Auditor
from penguind.check_loader import CheckLoader
from penguind.checkin import CheckIns
from penguind.identity.identities import Identities
from penguind.ingest import Ingest
from penguind.mongod.child import Mongod
from penguind.presence import AgentSettings, Presence
from penguind.store.all import open_stores
from penguind.store.check_queries import CheckQueries
from penguind.store.database import open_database
from penguind.workers import end_all, keep_on
from penguindome.errors import Unavailable
from penguindome.ids import new_fleet_id
from tests.harness.agent_service import FreeTurns
from tests.harness.reporter import NOW, Reporter


def now():
    return datetime.now(UTC)


async def ended(task):
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        async with asyncio.timeout(5):
            await task


def test_an_outage_is_logged_once_and_its_end_too():
    answers = iter([False, False, False, True, True, False, True])

    async def turn():
        if next(answers, None) is False:
            raise Unavailable("away")
        await asyncio.sleep(0.001)

    async def main():
        task = asyncio.create_task(keep_on("the work", turn, pause_seconds=0))
        await asyncio.sleep(0.1)
        await ended(task)

    with logbook.TestHandler() as handler:
        asyncio.run(main())
    assert [record.level_name for record in handler.records] == ["WARNING", "INFO"] * 2
    assert "the work: away" in handler.records[0].message


def test_a_swallowed_cancellation_ends_the_worker_after_its_turn():
    async def main():
        begun = asyncio.Event()

        async def turn():
            begun.set()
            try:
                await asyncio.sleep(60)
            except asyncio.CancelledError:
                return

        task = asyncio.create_task(keep_on("the work", turn))
        await begun.wait()
        await ended(task)

    asyncio.run(main())


def test_a_cancellation_is_repeated_until_it_is_heeded():
    async def main():
        async def deaf():
            for _ in range(2):
                with contextlib.suppress(asyncio.CancelledError):
                    await asyncio.sleep(60)

        task = asyncio.create_task(deaf())
        await asyncio.sleep(0)
        async with asyncio.timeout(5):
            await end_all([task])

    asyncio.run(main())


class Workers:
    """All workers of a server that use the database."""

    def __init__(self, database, stores):
        checks = CheckLoader()
        checks.refresh()
        self.auditor = Auditor(
            checks=checks,
            queries=CheckQueries(database),
            devices=stores.devices,
            issues=stores.issues,
            push=lambda _: None,
            clock=now,
        )
        self.presence = Presence()
        self.ingest = Ingest(
            database,
            stores.states,
            stores.trail,
            on_changed=self.auditor.changed,
            database_seconds=1,
        )
        self.check_ins = CheckIns(
            presence=self.presence,
            admission=Admission(),
            states=stores.states,
            devices=stores.devices,
            ratchets=FreeTurns(),
            hostname=lambda _: None,
            settings=lambda: AgentSettings(1, 60, 60, {}),
            trust_version=lambda: None,
            clock=now,
            note_seconds=0.2,
        )
        self.identities = Identities(stores.devices, stores.operators, now)
        self.parts = (self.auditor, self.ingest, self.check_ins, self.identities)


@contextlib.asynccontextmanager
async def working():
    folder = Path(mkdtemp(prefix="pd", dir="/tmp"))
    mongod = Mongod(folder)
    try:
        uri = await mongod.start()
        database = await open_database(
            uri, "outage", selection_milliseconds=300, socket_milliseconds=1000
        )
        async with database:
            stores = await open_stores(database, new_fleet_id())
            workers = Workers(database, stores)
            tasks = [asyncio.create_task(part.run()) for part in workers.parts]
            await asyncio.sleep(0.3)
            yield mongod, stores, workers, tasks
            for task in tasks:
                await ended(task)
    finally:
        await mongod.stop()
        shutil.rmtree(folder)


async def _report(stores, workers, device):
    """Hand in a report until it is stored; the trail tells that it was stored once."""
    device.set(value=len(device.hash))
    report = device.full()
    async with asyncio.timeout(20):
        while True:
            try:
                answer = await workers.ingest.submit(device.device_id, "web", report, NOW)
            except Unavailable:
                await asyncio.sleep(0.1)
                continue
            assert answer.stored
            return


def outage(away, back, seconds):
    async def main():
        async with working() as (mongod, stores, workers, tasks):
            device = Reporter("d-1")
            await stores.states.create("d-1", NOW)
            with workers.check_ins.stream("d-1", asyncio.Event()):
                await away(mongod)
                workers.auditor.request(["d-1"])
                await asyncio.sleep(seconds)
                assert not any(task.done() for task in tasks)
                await back(mongod)
                await _report(stores, workers, device)
                async with asyncio.timeout(15):
                    while workers.auditor.audited_time("d-1") is None:  # noqa: ASYNC110
                        await asyncio.sleep(0.05)
            assert not any(task.done() for task in tasks)

    with logbook.TestHandler() as handler:
        asyncio.run(main())
    said = [r.message for r in handler.records if r.message.startswith("Stopped for now")]
    assert len(said) == len({text.split(":")[1] for text in said})
    assert any("revocations" in text for text in said)


def test_all_workers_live_through_a_database_that_hangs():
    async def away(mongod):
        os.kill(mongod.pid, signal.SIGSTOP)

    async def back(mongod):
        os.kill(mongod.pid, signal.SIGCONT)

    outage(away, back, 8)


def test_all_workers_live_through_a_database_that_is_killed():
    async def away(mongod):
        os.kill(mongod.pid, signal.SIGKILL)

    async def back(mongod):
        await mongod._bring_up()

    outage(away, back, 8)


def test_a_database_that_hangs_does_not_hold_up_the_stop():
    async def main(folder):
        mongod = Mongod(folder)
        database = await open_database(await mongod.start(), "outage")
        await database.db["x"].find_one()
        os.kill(mongod.pid, signal.SIGSTOP)
        async with asyncio.timeout(8):
            await database.close()
        os.kill(mongod.pid, signal.SIGCONT)
        await mongod.stop()

    folder = Path(mkdtemp(prefix="pd", dir="/tmp"))
    try:
        asyncio.run(main(folder))
    finally:
        shutil.rmtree(folder)
