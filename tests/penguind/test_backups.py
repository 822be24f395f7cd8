"""Backups of a real server: what is in them, when they are made, and what a restore knows."""

from __future__ import annotations

import asyncio
import io
import stat
from contextlib import asynccontextmanager
from dataclasses import replace
from datetime import timedelta

import pytest

from penguind.backup.making import write_backup
from penguind.backup.periodic import PeriodicBackups
from penguind.backup.reading import Nobody, Reading
from penguind.config_keeping import BackupSettings
from penguind.identity.restored import LostCertificates
from penguind.store import dump
from penguind.store.all import open_stores
from penguind.store.backup_notes import BackupNotes, Restored
from penguindome import certs
from penguindome.errors import NotFound, PreconditionFailed
from tests.harness.database import fresh_database
from tests.harness.serving import running


@asynccontextmanager
async def backed_up(mongo_uri, directory, **changes):
    """Yield a server and its periodic backups."""
    async with running(mongo_uri) as server:
        backup = BackupSettings(directory, timedelta(hours=24), 2, ())
        settings = replace(server.settings, backup=replace(backup, **changes))
        yield server, PeriodicBackups(settings, server.database, server.clock)


async def read(data):
    return await Reading(Nobody()).run(io.BytesIO(data))


class Held(Nobody):
    """Keeps the documents' bytes of each collection, and the files' names."""

    def __init__(self):
        self.files = []
        self.documents_of = {}

    async def file(self, entry):
        self.files.append((entry.root, entry.path))

    async def collection(self, name):
        self.name = name
        self.documents_of[name] = b""

    async def documents(self, batch):
        self.documents_of[self.name] += batch


def test_a_backup_holds_one_moment_while_others_write(mongo_uri):
    async def story():
        async with running(mongo_uri) as server:
            a, b = server.database.db["a"], server.database.db["b"]
            await a.insert_many([{"_id": number, "text": "x" * 900} for number in range(3000)])
            await b.insert_one({"_id": 0})
            sink = Slow(b)
            header, totals = await write_backup(
                server.settings, server.database, server.clock, sink, keys=()
            )
            taker = Held()
            assert await Reading(taker).run(io.BytesIO(sink.getvalue())) == (header, totals)
            assert totals.collections["a"] == 3000
            assert totals.collections["b"] == 1
            assert ("state", "authority/anchor.pem") in taker.files
            assert taker.files[0] == ("settings", "penguind.toml")
            assert not [path for _, path in taker.files if path.startswith("mongo")]
            assert await b.count_documents({}) > 1

    class Slow(io.BytesIO):
        """Has others write between any two frames."""

        def __init__(self, collection):
            super().__init__()
            self._loop = asyncio.get_running_loop()
            self._collection = collection

        def write(self, data):
            work = self._collection.insert_one({})
            asyncio.run_coroutine_threadsafe(work, self._loop).result(5)
            return super().write(data)

    asyncio.run(story())


def test_periodic_backups_are_made_when_due_and_the_oldest_go(mongo_uri, tmp_path):
    async def story():
        async with backed_up(mongo_uri, tmp_path) as (server, backups):
            (tmp_path / ".penguind-x.unfinished").write_text("left by a power cut")
            (tmp_path / "of-somebody-else.backup").write_text("stays")
            made = []
            for _ in range(4):
                assert backups.due()
                made.append(await backups.make())
                assert not backups.due()
                server.clock.move(hours=25)
            names = sorted(path.name for path in tmp_path.iterdir())
            assert names == ["of-somebody-else.backup", *(path.name for path in made[2:])]
            assert stat.S_IMODE(made[3].stat().st_mode) == 0o600
            assert await read(made[3].read_bytes())
            assert await BackupNotes(server.database).made_time() is not None
            assert backups.problems() == []

    asyncio.run(story())


def test_a_directory_that_cannot_be_used_is_a_problem_until_it_can(mongo_uri, tmp_path):
    async def story():
        directory = tmp_path / "gone"
        async with backed_up(mongo_uri, directory) as (_, backups):
            with pytest.raises(NotFound, match="not exist"):
                backups.due()
            assert "cannot be read" in backups.problems()[0]
            directory.mkdir()
            await backups.make()
            assert backups.problems() == []

    asyncio.run(story())


def test_a_database_that_is_being_filled_serves_nobody(mongo_uri):
    async def story():
        async with fresh_database(mongo_uri) as database:
            await dump.mark(database)
            await dump.fill(database, "trail", [])
            with pytest.raises(PreconditionFailed, match="has not ended"):
                await open_stores(database, "f")
            await database.db["devices"].insert_one({"_id": "half"})
            await dump.mark(database)
            assert await dump.occupied(database) == ["meta"]
            await dump.clear(database)
            assert await dump.occupied(database) == []
            await dump.mark(database)
            await dump.unmark(database)
            await open_stores(database, "f")
            with pytest.raises(PreconditionFailed, match="not empty"):
                await dump.mark(database)
            moved = await dump.move_aside(database, "x")
            assert f"{dump.ASIDE}x.meta" in moved
            assert await dump.occupied(database) == []

    asyncio.run(story())


@pytest.mark.parametrize(
    ("changes", "taken"),
    [
        ({}, True),
        ({"not_before": timedelta(days=-2)}, False),
        ({"not_before": timedelta(days=2)}, False),
        ({"not_after": timedelta(days=-20)}, False),
    ],
)
def test_only_a_newer_certificate_of_the_lost_time_is_taken_over(mongo_uri, changes, taken):
    async def story():
        async with running(mongo_uri) as server:
            device, _ = await server.enroll()
            known = certs.parse_certificate(device.certificate)
            lost = replace(
                known,
                serial="ab" * 16,
                spki=certs.key_spki(certs.generate_key()),
                not_before=known.not_before + changes.get("not_before", timedelta()),
                not_after=known.not_after + changes.get("not_after", timedelta(hours=1)),
            )
            now = server.clock()
            window = Restored(now - timedelta(days=1), now + timedelta(days=1))
            lost_ones = LostCertificates(
                window, server.stores.devices, server.stores.operators, Forgetful()
            )
            assert await lost_ones.take("device", device.name, lost) is taken
            assert await lost_ones.take("device", device.name, lost) is False
            record = await server.stores.devices.get(device.name)
            assert (record.pending_spki == lost.spki) is taken
            never = LostCertificates(None, server.stores.devices, server.stores.operators, None)
            assert await never.take("device", device.name, lost) is False

    class Forgetful:
        def forget(self, kind, name):
            assert kind == "device"
            assert name

    asyncio.run(story())
