from __future__ import annotations

import asyncio
from datetime import UTC, datetime

import pytest

from penguind.ledger import Ledger
from penguind.store.ledger import LedgerStore
from penguindome.chain import verify_rows
from penguindome.errors import Damaged
from tests.harness.database import fresh_database

NOW = datetime(2026, 11, 25, tzinfo=UTC)


def in_database(mongo_uri, story):
    async def run():
        async with asyncio.timeout(60), fresh_database(mongo_uri) as database:
            await story(database)

    asyncio.run(run())


def test_rows_of_parallel_writers_form_one_chain(mongo_uri):
    async def story(database):
        writers = [Ledger(LedgerStore(database), lambda: NOW) for _ in range(4)]
        await asyncio.gather(
            *(writers[n % 4].append("console", "test", str(n), {"n": n}) for n in range(24))
        )
        rows = await writers[0].after(0, 100)
        assert [row.number for row in rows] == list(range(1, 25))
        assert {row.target for row in rows} == {str(n) for n in range(24)}
        assert verify_rows(rows) == (24, rows[-1].hash)
        assert await writers[0].head() == rows[-1]
        assert await writers[0].after(22, 1) == [rows[22]]

    in_database(mongo_uri, story)


@pytest.mark.parametrize("change", [{"actor": "x"}, {"details": b"{}"}, {"time_unix_ms": 0}])
def test_a_changed_or_removed_row_is_found(mongo_uri, change):
    async def story(database):
        store = LedgerStore(database)
        ledger = Ledger(store, lambda: NOW)
        for number in range(3):
            await ledger.append("console", "test", "", {"n": number})
        await database.db["ledger"].update_one({"_id": 2}, {"$set": change})
        with pytest.raises(Damaged, match="changed"):
            verify_rows(await ledger.after(0, 10))
        await database.db["ledger"].delete_one({"_id": 2})
        with pytest.raises(Damaged, match="missing"):
            verify_rows(await ledger.after(0, 10))

    in_database(mongo_uri, story)


def test_an_empty_ledger_has_no_head(mongo_uri):
    async def story(database):
        assert await LedgerStore(database).head() is None

    in_database(mongo_uri, story)
