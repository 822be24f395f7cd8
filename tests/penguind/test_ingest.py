from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager

import pytest

from penguind.ingest import Ingest, Stored
from penguind.store.states import StateStore
from penguind.store.trail import TrailStore
from penguindome.errors import InvalidInput, LimitExceeded, NotFound, Unavailable
from tests.harness.database import fresh_database
from tests.harness.reporter import NOW, Reporter, output


class Server:
    """An ingest on a database of its own."""

    def __init__(self, database):
        self.database = database
        self.states = StateStore(database)
        self.trail = TrailStore(database)
        self.audited = []
        self.ingest = Ingest(database, self.states, self.trail, on_changed=self.audited.extend)

    async def device(self, device_id="d-1", hostname="web-1", **values):
        device = Reporter(device_id, hostname)
        device.set(**values)
        await self.states.create(device_id, NOW)
        if values:
            assert (await self.submit(device, device.full())).stored
        return device

    async def submit(self, device, report):
        return await self.ingest.submit(device.device_id, device.hostname, report, NOW)

    async def entries(self):
        cursor = self.database.db["trail"].find().sort("_id")
        return [entry async for entry in cursor]


@asynccontextmanager
async def serving(uri):
    async with fresh_database(uri) as database:
        server = Server(database)
        await server.states.prepare()
        await server.trail.prepare()
        worker = asyncio.create_task(server.ingest.run())
        try:
            yield server
        finally:
            worker.cancel()
            await asyncio.wait([worker])


def run(uri, story):
    async def main():
        async with serving(uri) as server:
            await story(server)

    asyncio.run(main())


def test_state_and_trail_change_together(mongo_uri):
    async def story(server):
        device = await server.device(ssh={"port": 22, "a.b": [1]}, os="Debian")
        assert await server.entries() == []
        report = device.delta(*device.set(ssh={"port": 23, "a.b": [1]}), removed=("os",))
        assert await server.submit(device, report) == Stored(True, device.hash)
        snapshot = await server.states.snapshot("d-1")
        assert snapshot.values == {"ssh": {"port": 23, "a.b": [1]}}
        assert [one.name for one in snapshot.outputs] == ["ssh"]
        assert snapshot.report_id == report.report_id
        changed, deleted = await server.entries()
        assert changed["_id"] == f"{report.report_id}/00000"
        assert (changed["key"], changed["old"], changed["new"]) == ("plugins.ssh.port", 22, 23)
        assert (deleted["type"], deleted["key"], deleted["old"]) == (
            "delete",
            "plugins.os",
            "Debian",
        )
        assert "new" not in deleted
        assert (deleted["device_id"], deleted["hostname"]) == ("d-1", "web-1")
        assert deleted["received_time"] == NOW
        assert deleted["collected_time"] == report.collected_time
        assert server.audited == ["d-1", "d-1"]

    run(mongo_uri, story)


def test_repeated_report_is_stored_once(mongo_uri):
    async def story(server):
        device = await server.device(ssh=1)
        report = device.delta(*device.set(ssh=2))
        answers = [await server.submit(device, report) for _ in range(3)]
        answers += await asyncio.gather(*(server.submit(device, report) for _ in range(3)))
        assert set(answers) == {Stored(True, device.hash)}
        assert len(await server.entries()) == 1
        assert server.audited == ["d-1", "d-1"]
        assert server.ingest.reports_stored == 2

    run(mongo_uri, story)


def test_unknown_base_asks_for_a_full_report(mongo_uri):
    async def story(server):
        device = await server.device(ssh=1)
        held = device.hash
        lost = device.delta(*device.set(ssh=2))
        refused = device.delta(*device.set(ssh=3))
        assert await server.submit(device, refused) == Stored(False, held)
        assert await server.submit(device, device.delta()) == Stored(False, held)
        assert (await server.submit(device, device.full())).stored
        assert await server.submit(device, lost) == Stored(False, device.hash)

    run(mongo_uri, story)


def test_unchanged_report_is_noted(mongo_uri):
    async def story(server):
        device = await server.device(ssh=1)
        report = device.delta(request_id="r-1")
        assert await server.submit(device, report) == Stored(True, device.hash)
        snapshot = await server.states.snapshot("d-1")
        assert (snapshot.report_id, snapshot.request_id) == (report.report_id, "r-1")
        assert server.audited == ["d-1"]

    run(mongo_uri, story)


def test_two_devices_of_one_name_stay_two(mongo_uri):
    async def story(server):
        one = await server.device("d-1", "laptop", ssh=1)
        other = await server.device("d-2", "laptop", ssh=2)
        await server.submit(one, one.delta(*one.set(ssh=3)))
        assert (await server.states.snapshot("d-1")).values == {"ssh": 3}
        assert (await server.states.snapshot("d-2")).values == {"ssh": 2}
        assert await server.states.state_hash("d-2") == other.hash

    run(mongo_uri, story)


def test_reports_of_many_devices_keep_their_order(mongo_uri):
    rounds = 12

    async def story(server):
        devices = [await server.device(f"d-{number}", value=0) for number in range(40)]

        async def reporting(device):
            pending = []
            for value in range(1, rounds):
                report = device.delta(*device.set(value=value))
                pending.append(asyncio.create_task(server.submit(device, report)))
                await asyncio.sleep(0)
            assert all(answer.stored for answer in await asyncio.gather(*pending))

        await asyncio.gather(*map(reporting, devices))
        entries = await server.entries()
        for device in devices:
            own = [(e["old"], e["new"]) for e in entries if e["device_id"] == device.device_id]
            assert own == [(value - 1, value) for value in range(1, rounds)]

    run(mongo_uri, story)


def test_poison_fails_alone(mongo_uri):
    async def story(server):
        good = [await server.device(f"d-{number}", ssh=0) for number in range(5)]
        evil = await server.device("d-evil", ssh=0)
        stolen = good[0].delta(*good[0].set(ssh=1))
        await server.submit(good[0], stolen)
        # The same report id as another device's: its trail entry exists already.
        poison = evil.delta(*evil.set(ssh=1))
        object.__setattr__(poison, "report_id", stolen.report_id)
        reports = [(one, one.delta(*one.set(ssh=5))) for one in good]
        answers = await asyncio.gather(
            *(server.submit(*pair) for pair in [*reports[:2], (evil, poison), *reports[2:]]),
            return_exceptions=True,
        )
        refused = answers.pop(2)
        assert isinstance(refused, InvalidInput)
        assert "before" in str(refused)
        assert all(answer.stored for answer in answers)
        assert (await server.states.snapshot("d-evil")).values == {"ssh": 0}

    run(mongo_uri, story)


def test_wrong_reports_are_refused_beside_good_ones(mongo_uri):
    async def story(server):
        good = await server.device("d-1", ssh=0)
        liar = await server.device("d-2", ssh=0)
        stranger = Reporter("d-3")
        wrong = liar.delta(*liar.set(ssh=9), state_hash=b"x" * 32)
        answers = await asyncio.gather(
            server.submit(liar, wrong),
            server.submit(stranger, stranger.full()),
            server.submit(good, good.delta(*good.set(ssh=1))),
            return_exceptions=True,
        )
        assert [type(answer) for answer in answers] == [InvalidInput, NotFound, Stored]

    run(mongo_uri, story)


def test_flood_of_one_device_is_refused(mongo_uri):
    async def story(server):
        device = await server.device(ssh=1)
        answers = await asyncio.gather(
            *(server.submit(device, device.delta()) for _ in range(100)), return_exceptions=True
        )
        refused = [answer for answer in answers if isinstance(answer, LimitExceeded)]
        assert len(refused) == 84
        assert refused[0].retry_after_seconds > 0

    run(mongo_uri, story)


def test_who_hangs_up_does_not_hold_up_the_next_report(mongo_uri):
    async def story(server):
        device = await server.device(ssh=1)
        lost = asyncio.create_task(server.submit(device, device.delta()))
        after = asyncio.create_task(server.submit(device, device.delta()))
        await asyncio.sleep(0)
        lost.cancel()
        async with asyncio.timeout(5):
            assert (await after).stored

    run(mongo_uri, story)


def test_stopping_answers_everyone(mongo_uri):
    async def story():
        async with serving(mongo_uri) as server:
            device = await server.device(ssh=1)
            waiting = asyncio.create_task(server.submit(device, device.delta()))
            await asyncio.sleep(0)
        with pytest.raises(Unavailable):
            await waiting
        with pytest.raises(Unavailable):
            await server.submit(device, device.delta())

    asyncio.run(story())


def test_large_first_report_in_parts(mongo_uri):
    async def story(server):
        device = await server.device(small=1)
        device.set(big="x" * 200_000, other="y" * 200_000)
        whole = dict(device.outputs)
        device.outputs = {"small": whole["small"]}
        assert (await server.submit(device, device.full(following=("big", "other")))).stored
        for name in ("big", "other"):
            answer = await server.submit(device, device.delta(*device.put(whole[name])))
            assert answer == Stored(True, device.hash)
        entries = await server.entries()
        assert [entry["key"] for entry in entries] == ["plugins.big", "plugins.other"]

    run(mongo_uri, story)


def test_state_that_outgrows_the_database_is_refused_alone(mongo_uri):
    """Numbers take more room in BSON than in JSON: only the database knows how much."""

    async def story(server):
        device, other = await server.device("d-1", n=0), await server.device("d-2", n=0)
        many = [output(f"big{number}", [1] * 19_000) for number in range(100)]
        answers = await asyncio.gather(
            server.submit(device, device.delta(*device.put(*many))),
            server.submit(other, other.delta(*other.set(n=1))),
            return_exceptions=True,
        )
        assert isinstance(answers[0], InvalidInput)
        assert answers[1].stored
        assert (await server.states.snapshot("d-1")).values == {"n": 0}

    run(mongo_uri, story)


def test_hostile_keys_stay_what_they_are(mongo_uri):
    evil = {"$where": "sleep(1)", "a.b.c": {"$ref": "devices", "$id": 1}, "%24": [{"$date": 0}]}

    async def story(server):
        device = await server.device(evil={}, large={"x": "x" * 200_000})
        await server.submit(
            device, device.delta(*device.set(evil=evil, large={"x": "y" * 200_000}))
        )
        assert (await server.states.snapshot("d-1")).values["evil"] == evil
        keys = sorted(entry["key"] for entry in await server.entries())
        assert keys == [
            "plugins.evil.%24where",
            "plugins.evil.%2524",
            "plugins.evil.a%2Eb%2Ec",
            "plugins.large.x",
        ]

    run(mongo_uri, story)
