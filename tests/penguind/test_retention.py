"""What is old goes, what is not stays, and the ledger is never touched."""

from __future__ import annotations

import asyncio
from datetime import timedelta

from penguind import retention as module
from penguind.config_keeping import retention_settings
from penguind.domain.retention import KINDS
from penguind.retention import Retention
from penguind.store.all import open_stores
from penguind.store.retention import BATCH
from penguind.store.tokens import RECENT_REDEMPTIONS
from penguindome.settings import Section
from tests.harness.database import fresh_database
from tests.harness.reporter import NOW

YEAR = timedelta(days=365)
SETTINGS = dict.fromkeys((kind.setting for kind in KINDS), YEAR)
OLD, NEW = NOW - timedelta(days=366), NOW - timedelta(days=364)


async def sweep(stores, settings=SETTINGS):
    return await Retention(stores.old_things, settings, lambda: NOW).sweep()


def swept(mongo_uri, documents, settings=SETTINGS):
    """Return what is left of documents by collection, and what was said to be deleted."""

    async def story():
        async with fresh_database(mongo_uri) as database:
            stores = await open_stores(database, "f")
            for name, some in documents.items():
                await database.db[name].insert_many(some)
            told = await sweep(stores, settings)
            left = {}
            for name in documents:
                left[name] = [one["_id"] async for one in database.db[name].find().sort("_id", 1)]
            return left, told

    return asyncio.run(story())


def test_only_what_is_old_goes(mongo_uri):
    closed = {"device_id": "d", "name": "c", "state": "closed"}
    left, told = swept(
        mongo_uri,
        {
            "trail": [{"_id": "old", "received_time": OLD}, {"_id": "new", "received_time": NEW}],
            "issues": [
                {"_id": "closed", **closed, "closed_time": OLD},
                {"_id": "held", **closed, "closed_time": OLD, "holds": True},
                {"_id": "new", **closed, "closed_time": NEW},
                {"_id": "open", "device_id": "d", "name": "c", "state": "open"},
            ],
            "outbox": [
                {"_id": "sent", "state": "sent", "created_time": OLD},
                {"_id": "waits", "state": "waiting", "created_time": OLD},
            ],
            "tokens": [{"_id": "old", "expires_time": OLD}, {"_id": "new", "expires_time": NEW}],
            "invitations": [{"_id": "old", "expires_time": OLD}],
            "ledger": [{"_id": 1, "time_unix_ms": 0}],
        },
    )
    assert left == {
        "trail": ["new"],
        "issues": ["held", "new", "open"],
        "outbox": ["waits"],
        "tokens": ["new"],
        "invitations": [],
        "ledger": [1],
    }
    assert told == {"trail": 1, "issues": 1, "outbox": 1, "tokens": 1, "invitations": 1}


def test_for_ever_means_for_ever(mongo_uri):
    never = dict.fromkeys(SETTINGS)
    left, told = swept(mongo_uri, {"trail": [{"_id": "a", "received_time": OLD}]}, never)
    assert (left, told) == ({"trail": ["a"]}, {})


def test_many_go_in_small_batches(mongo_uri, monkeypatch):
    monkeypatch.setattr(module, "_REST_SECONDS", 0)
    many = [{"_id": f"{number:06d}", "received_time": OLD} for number in range(2 * BATCH + 1)]
    left, told = swept(mongo_uri, {"trail": many})
    assert (left, told) == ({"trail": []}, {"trail": 2 * BATCH + 1})


def test_the_ledger_is_no_kind():
    assert "ledger" not in {kind.collection for kind in KINDS}
    assert {kind.setting for kind in KINDS} == set(retention_settings(Section({})))


def test_old_things_are_found_by_an_index(mongo_uri):
    async def story():
        async with fresh_database(mongo_uri) as database:
            await open_stores(database, "f")
            times = [OLD + timedelta(hours=number) for number in range(400)]
            for name, key in (("trail", "received_time"), ("issues", "closed_time")):
                await database.db[name].insert_many(
                    [{"_id": str(t), key: t, "state": "closed", "device_id": str(t)} for t in times]
                )
            for kind in KINDS[:2]:
                query = {**kind.only, kind.time_field: {"$lt": OLD + timedelta(hours=3)}}
                cursor = database.db[kind.collection].find(query).sort(kind.time_field, 1)
                plan = await cursor.explain()
                assert plan["executionStats"]["totalDocsExamined"] <= 3, kind

    asyncio.run(story())


def test_a_token_of_many_uses_stays_small(mongo_uri, monkeypatch):
    monkeypatch.setattr("penguind.store.tokens.RECENT_REDEMPTIONS", 4)

    async def story():
        async with fresh_database(mongo_uri) as database:
            tokens = (await open_stores(database, "f")).tokens
            await database.db["tokens"].insert_one(
                {
                    "_id": "t",
                    "revoked": False,
                    "wrong_secrets": 0,
                    "expires_time": NOW + YEAR,
                    "remaining": 100,
                    "uses": 0,
                    "redemptions": [],
                }
            )
            for number in range(20):
                assert await tokens.reserve("t", bytes([number]), f"d{number}", NOW) == f"d{number}"
            assert await tokens.reserve("t", b"\0", "other", NOW) == "d0"
            found = await database.db["tokens"].find_one({"_id": "t"})
            assert (len(found["redemptions"]), found["remaining"], found["uses"]) == (4, 80, 20)
            await tokens.forget_device("d0")
            assert await tokens.reserve("t", b"\0", "again", NOW) == "again"

    asyncio.run(story())
    assert RECENT_REDEMPTIONS > 4


def test_a_use_that_was_taken_just_before_a_crash_is_found_again(mongo_uri):
    async def story():
        async with fresh_database(mongo_uri) as database:
            tokens = (await open_stores(database, "f")).tokens
            await database.db["tokens"].insert_one(
                {
                    "_id": "t",
                    "revoked": False,
                    "wrong_secrets": 0,
                    "expires_time": NOW + YEAR,
                    "remaining": 0,
                    "redemptions": [{"csr_hash": b"c", "device_id": "d1", "time": NOW}],
                }
            )
            assert await tokens.reserve("t", b"c", "d2", NOW) == "d1"
            assert await tokens.reserve("t", b"x", "d2", NOW) is None
            await database.db["tokens"].update_one({"_id": "t"}, {"$set": {"redemptions": []}})
            assert await tokens.reserve("t", b"c", "d2", NOW) == "d1"

    asyncio.run(story())
