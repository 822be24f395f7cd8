"""Queries that grow with the fleet's age are answered from indexes, told by the database itself."""

from __future__ import annotations

import asyncio
from datetime import timedelta

import pytest

from penguind.store.all import open_stores
from penguind.store.trail_queries import TrailQueries
from tests.harness.database import fresh_database
from tests.harness.reporter import NOW

IDS = [f"d-{number:016d}" for number in range(40)]


def device(number):
    return {
        "_id": IDS[number],
        "hostname": f"h{number % 7}",
        "state": "revoked" if number % 5 == 0 else "active",
        "hints": {"machine-id": number.to_bytes(32, "big")},
        "spki": b"",
        "fingerprint": "",
        "enrolled_time": NOW,
    }


def closed_issue(number):
    return {
        "_id": f"{number:026d}",
        "device_id": IDS[number % len(IDS)],
        "hostname": "h",
        "name": f"c{number % 9}",
        "state": "closed",
        "severity": "low",
        "summary": "",
        "remedy": "",
        "opened_time": NOW,
        "closed_time": NOW + timedelta(seconds=number * 7919 % 600),
        **({"closed_by": "alice"} if number % 50 == 0 else {}),
    }


def change(number):
    return {
        "_id": f"{number:026d}/00000",
        "device_id": IDS[number % len(IDS)],
        "hostname": "h",
        "received_time": NOW + timedelta(seconds=number * 7919 % 600),
        "collected_time": NOW,
        "type": "change",
        "key": "plugins.a",
    }


async def trail(database, device_ids):
    found = TrailQueries(database).newest(
        device_ids=device_ids, key_prefix="", since=None, limit=20
    )
    return [entry async for entry in found]


ASKED = {
    "devices of one state": (lambda _, stores: stores.devices.find(states=["active"]), 40),
    "devices of two states": (lambda _, stores: stores.devices.find(), 40),
    "devices of the same hardware": (
        lambda _, stores: stores.devices.with_hints({"machine-id": bytes(32)}),
        1,
    ),
    "issues closed last": (lambda _, stores: stores.issues.find_closed(), 600),
    "issues that operators closed": (
        lambda _, stores: stores.issues.manually_closed(IDS[:20]),
        12,
    ),
    "trail of all": (lambda database, _: trail(database, None), 20),
    "trail of one": (lambda database, _: trail(database, IDS[:1]), 20),
}


@pytest.mark.parametrize("name", ASKED)
def test_no_query_reads_more_than_it_answers_or_sorts_by_itself(mongo_uri, name):
    ask, most = ASKED[name]

    async def main():
        async with fresh_database(mongo_uri) as database:
            stores = await open_stores(database, "f")
            await database.db["devices"].insert_many(map(device, range(40)))
            await database.db["issues"].insert_many(map(closed_issue, range(600)))
            await database.db["trail"].insert_many(map(change, range(600)))
            await database.db.command("profile", 2)
            await ask(database, stores)
            await database.db.command("profile", 0)
            query = {"op": {"$in": ["query", "command"]}, "planSummary": {"$exists": True}}
            (told,) = await database.db["system.profile"].find(query).to_list()
            assert told["planSummary"].startswith("IXSCAN"), told["planSummary"]
            assert not told.get("hasSortStage"), told["planSummary"]
            assert told["docsExamined"] <= most

    asyncio.run(main())
