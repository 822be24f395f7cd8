"""Parameters in the database: set, unset, listed, and never half a group."""

from __future__ import annotations

import asyncio
import random
from contextlib import asynccontextmanager
from datetime import UTC, datetime

import pytest

from penguind.domain.device import Device
from penguind.domain.parameter import EMAIL, LINKS
from penguind.parameters import Parameters
from penguind.select import DeviceSelector
from penguind.store.devices import DeviceStore
from penguind.store.issues import IssueStore
from penguind.store.parameters import ParameterStore
from penguindome.errors import InvalidInput, NotFound, PreconditionFailed
from tests.harness.database import fresh_database

NOW = datetime(2026, 3, 2, 12, 0, tzinfo=UTC)
FROODLE, FRONDLE = "d-froodle", "d-frondle"


class Bench:
    """Parameters of some devices."""

    def __init__(self, database):
        self.devices = DeviceStore(database)
        self.store = ParameterStore(database)
        self.collection = database.db["parameters"]
        self.parameters = Parameters(
            database=database,
            parameters=self.store,
            devices=self.devices,
            selector=DeviceSelector(self.devices, IssueStore(database)),
            clock=lambda: NOW,
        )

    async def add(self, *hostnames, **facts):
        values = {"state": "active", "enrolled_time": NOW, "spki": b"", "fingerprint": "", **facts}
        for hostname in hostnames:
            await self.devices.insert(
                Device(device_id=f"d-{hostname}", hostname=hostname, **values)
            )

    async def set(self, device, name, *values):
        return await self.parameters.set(device, name, values, "ann")

    async def unset(self, device, name):
        return await self.parameters.unset(device, name, "bob")

    async def rows(self, *terms, names=()):
        """Return hostname, name and values as people see them."""
        return [
            (one.parameter.hostname, one.parameter.name, one.hostnames or one.parameter.values)
            for one in await self.parameters.find(terms, names)
        ]

    async def delete(self, device):
        await self.devices.revoke(device, "", NOW)
        await self.parameters.leave(device)
        await self.devices.delete(device)


@pytest.fixture
def run(mongo_uri):
    @asynccontextmanager
    async def bench():
        async with fresh_database(mongo_uri) as database, asyncio.timeout(60):
            made = Bench(database)
            await made.devices.prepare()
            await made.store.prepare()
            await made.add("froodle", "frondle")
            yield made

    def run_story(story):
        async def main():
            async with bench() as made:
                await story(made)

        asyncio.run(main())

    return run_story


def test_two_linked_hosts_from_empty_to_empty(run):
    async def story(bench):
        assert await bench.rows() == []
        change = await bench.set(FROODLE, EMAIL, "example@example.com")
        assert (change.changed, change.before) == (True, ())
        assert await bench.rows() == [("froodle", EMAIL, ("example@example.com",))]
        change = await bench.set(FROODLE, LINKS, FRONDLE)
        assert [one.hostnames for one in change.parameters] == [("froodle",), ("frondle",)]
        links = [("frondle", LINKS, ("froodle",)), ("froodle", LINKS, ("frondle",))]
        assert await bench.rows(names=[LINKS]) == links
        assert await bench.rows("froodle", names=[EMAIL]) == [
            ("froodle", EMAIL, ("example@example.com",))
        ]
        assert await bench.unset(FROODLE, EMAIL)
        assert not await bench.unset(FROODLE, EMAIL)
        assert await bench.rows() == links
        assert await bench.unset(FROODLE, LINKS)
        assert await bench.rows() == []

    run(story)


def test_what_was_unset_stays_as_a_record_of_when_and_by_whom(run):
    async def story(bench):
        await bench.set(FROODLE, EMAIL, "a@example.com")
        await bench.unset(FROODLE, EMAIL)
        (record,) = await bench.collection.find().to_list()
        assert record["values"] == []
        assert (record["set_by"], record["set_time"]) == ("bob", NOW)

    run(story)


def test_setting_the_same_again_changes_nothing_and_another_tells_what_was_there(run):
    async def story(bench):
        await bench.set(FROODLE, EMAIL, "a@example.com")
        same = await bench.set(FROODLE, EMAIL, "a@example.com")
        assert (same.changed, same.before) == (False, ("a@example.com",))
        other = await bench.set(FROODLE, EMAIL, "b@example.com")
        assert (other.changed, other.before) == (True, ("a@example.com",))
        await bench.set(FROODLE, LINKS, FRONDLE)
        same = await bench.set(FROODLE, LINKS, FRONDLE)
        assert (same.changed, same.before) == (False, ("frondle",))

    run(story)


def test_strangers_and_revoked_devices_are_named_and_nothing_is_done(run):
    async def story(bench):
        await bench.add("gone", state="revoked")
        with pytest.raises(NotFound) as refused:
            await bench.set(FROODLE, LINKS, FRONDLE, "d-nobody")
        assert refused.value.subject == "d-nobody"
        with pytest.raises(PreconditionFailed) as refused:
            await bench.set(FROODLE, LINKS, "d-gone")
        assert "gone" in refused.value.subject
        with pytest.raises(InvalidInput, match="with itself"):
            await bench.set(FROODLE, LINKS, FROODLE)
        with pytest.raises(NotFound):
            await bench.unset("d-nobody", EMAIL)
        assert await bench.rows() == []

    run(story)


def test_a_deleted_device_leaves_its_parameters_until_they_are_unset(run):
    async def story(bench):
        await bench.set(FROODLE, LINKS, FRONDLE)
        await bench.set(FROODLE, EMAIL, "a@example.com")
        await bench.devices.seen(FROODLE, NOW, hostname="renamed")
        await bench.delete(FROODLE)
        shown = await bench.parameters.find(["renamed"], [])
        assert [(one.parameter.name, one.device_deleted) for one in shown] == [
            (LINKS, True),
            (EMAIL, True),
        ]
        assert await bench.rows("frondle") == [("frondle", LINKS, ("renamed",))]
        assert await bench.rows("label:sales") == []
        with pytest.raises(NotFound):
            await bench.rows("froodle")
        with pytest.raises(NotFound):
            await bench.set(FROODLE, EMAIL, "b@example.com")
        assert await bench.unset(FROODLE, LINKS)
        assert await bench.unset(FROODLE, EMAIL)
        assert not await bench.unset(FROODLE, EMAIL)
        assert await bench.rows() == []

    run(story)


def test_mail_addresses_are_found_by_device(run):
    async def story(bench):
        await bench.set(FROODLE, EMAIL, "a@example.com")
        await bench.set(FRONDLE, EMAIL, "b@example.com")
        await bench.unset(FRONDLE, EMAIL)
        assert await bench.store.emails([FROODLE, FRONDLE]) == {FROODLE: "a@example.com"}

    run(story)


def test_groups_are_whole_whatever_happens_at_the_same_time(run):
    hosts = ["a", "b", "c", "d", "e", "f"]

    async def story(bench):
        await bench.add(*hosts)
        choice = random.Random(7)

        async def change():
            device, *others = choice.sample([f"d-{host}" for host in hosts], choice.randint(1, 4))
            await (bench.set(device, LINKS, *others) if others else bench.unset(device, LINKS))

        for _ in range(4):
            await asyncio.gather(*(change() for _ in range(6)))
            links = await bench.store.linked([f"d-{host}" for host in hosts])
            for device, others in links.items():
                for other in others:
                    assert set(links[other]) == {*others, device} - {other}

    run(story)


def test_a_group_is_written_whole_or_not_at_all(run):
    async def story(bench):
        await bench.set(FROODLE, LINKS, FRONDLE)
        await bench.add("third")
        written = bench.store.write

        async def interrupted(parameters, *, session):
            await written(parameters[:1], session=session)
            raise InvalidInput("cut here")

        bench.store.write = interrupted
        with pytest.raises(InvalidInput, match="cut here"):
            await bench.set("d-third", LINKS, FRONDLE)
        links = await bench.store.linked([FROODLE, FRONDLE, "d-third"])
        assert links == {FROODLE: (FRONDLE,), FRONDLE: (FROODLE,)}

    run(story)
