from __future__ import annotations

import asyncio
from datetime import timedelta

import pytest

from penguind.store.database import database_errors, open_database
from penguind.store.states import StateStore
from penguindome.errors import InvalidInput, Unavailable
from tests.harness.database import fresh_database
from tests.harness.reporter import NOW


def run(uri, story):
    async def main():
        async with fresh_database(uri) as database:
            states = StateStore(database)
            await states.prepare()
            await states.prepare()
            await story(database, states)

    asyncio.run(main())


def test_new_device_has_an_empty_state(mongo_uri):
    async def story(_, states):
        await states.create("d-1", NOW)
        snapshot = await states.snapshot("d-1")
        assert (snapshot.report_id, snapshot.outputs, snapshot.values) == ("", (), {})
        assert snapshot.received_time == NOW
        assert await states.state_hash("d-1") == b""

    run(mongo_uri, story)


def test_creating_again_keeps_what_is_held(mongo_uri):
    async def story(database, states):
        await states.create("d-1", NOW)
        await database.db["states"].update_one({"_id": "d-1"}, {"$set": {"plugins.a": 1}})
        await states.create("d-1", NOW + timedelta(days=1))
        snapshot = await states.snapshot("d-1")
        assert snapshot.values == {"a": 1}
        assert snapshot.received_time == NOW

    run(mongo_uri, story)


def test_deleted_state_is_gone(mongo_uri):
    async def story(_, states):
        await states.create("d-1", NOW)
        await states.delete("d-1")
        assert await states.snapshot("d-1") is None
        assert await states.state_hash("d-1") == b""

    run(mongo_uri, story)


def test_unreachable_database_says_so():
    async def story():
        with pytest.raises(Unavailable, match="does not answer"):
            await open_database("mongodb://%2Ftmp%2Fno-such.sock/", "t", selection_milliseconds=100)

    asyncio.run(story())


@pytest.mark.parametrize("uri", ["http://example.com", "mongodb://"])
def test_useless_address_is_refused(uri):
    async def story():
        with pytest.raises(InvalidInput):
            await open_database(uri, "t", selection_milliseconds=100)

    asyncio.run(story())


def test_what_the_database_cannot_hold_is_the_senders_fault(mongo_uri):
    async def story(database, _):
        for value in (2**64, "\ud800", object()):
            with pytest.raises(InvalidInput), database_errors():
                await database.db["things"].insert_one({"value": value})

    run(mongo_uri, story)
