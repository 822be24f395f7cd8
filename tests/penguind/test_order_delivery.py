"""How orders get to devices: when, in which order, how many, and again after a break."""

from __future__ import annotations

import asyncio
import time

from penguind.domain.order_delivery import UNHEARD_LIMIT
from penguind.store.order_targets import OrderTargetStore
from tests.harness.office_stories import in_office, signers, until
from tests.harness.ordering import Laptop, id_of, laptop

__all__ = ["signers"]

MANY = 200


def test_what_was_ordered_while_a_device_was_away_waits_for_it(mongo_uri, signers):
    async def story(office):
        web = await laptop(office.server)
        first = await office.submit(office.command(web.named))
        wipe = office.signed(
            "wipe-plan",
            office.payload("wipe-plan", web.named, {"level": "lock", "confirmation": ""}),
        )
        urgent = await office.submit(wipe)
        assert await office.states(first.order_id) == {web.device_id: "queued"}
        async with web.connected():
            came = [id_of(await web.next_order()) for _ in range(2)]
            assert came == [urgent.order_id, first.order_id]

    in_office(mongo_uri, signers, story)


def test_an_unanswered_order_is_sent_again_when_the_device_comes_back(mongo_uri, signers):
    async def story(office):
        web = await laptop(office.server)
        envelope = office.command(web.named)
        await office.submit(envelope)
        for _ in range(3):
            async with web.connected():
                assert await web.next_order() == envelope
                await web.no_order(0.1)
        async with web.connected():
            await web.next_order()
            await web.say(web.word(id_of(envelope), "running"))
        async with web.connected():
            assert await web.next_order() == envelope, "it answers from its memory"
            await web.say(web.word(id_of(envelope), "interrupted", 2))
        async with web.connected():
            await web.no_order()

    in_office(mongo_uri, signers, story)


def test_a_device_is_given_sixteen_at_a_time_and_urgent_ones_beside(mongo_uri, signers):
    async def story(office):
        web = await laptop(office.server)
        async with web.connected():
            made = [office.command(web.named) for _ in range(UNHEARD_LIMIT + 3)]
            ids = [(await office.submit(one)).order_id for one in made]
            came = [id_of(await web.next_order()) for _ in range(UNHEARD_LIMIT)]
            assert came == ids[:UNHEARD_LIMIT]
            await web.no_order(0.2)
            cancel = await office.submit(office.cancel("command", web.named, came[0]))
            assert id_of(await web.next_order()) == cancel.order_id
            await web.say(web.word(came[0], "accepted"), web.word(came[1], "succeeded"))
            assert [id_of(await web.next_order()) for _ in range(2)] == ids[UNHEARD_LIMIT:][:2]
            await web.no_order(0.2)

    in_office(mongo_uri, signers, story)


def test_what_another_process_queued_is_found_within_seconds(mongo_uri, signers):
    async def story(office):
        web = await laptop(office.server)
        order = await office.submit(office.command(web.named))
        withheld = office.server.database.db["order_targets"]
        # As if it had been stored while nobody here was told.
        await withheld.update_one({}, {"$set": {"state": "waiting"}})
        async with web.connected():
            await web.no_order()
            await withheld.update_one(
                {}, {"$set": {"state": "queued", "queued_time": office.server.clock()}}
            )
            assert id_of(await web.next_order()) == order.order_id

    in_office(mongo_uri, signers, story)


def test_of_two_processes_one_sends_an_order(mongo_uri, signers):
    async def story(office):
        web = await laptop(office.server)
        await office.submit(office.command(web.named))
        stores = [OrderTargetStore(office.server.database) for _ in range(5)]
        now = office.server.clock()
        unheard = await stores[0].unheard([web.device_id], now)
        claims = [one.claim(unheard, f"claim {n}", now) for n, one in enumerate(stores)]
        assert sorted(map(len, await asyncio.gather(*claims))) == [0, 0, 0, 0, 1]

    in_office(mongo_uri, signers, story)


def test_an_order_to_two_hundred_connected_devices_is_out_in_a_moment(mongo_uri, signers):
    async def story(office):
        server = office.server
        token = await server.token(max_uses=MANY)
        fleet = [
            Laptop(server, (await server.enroll(token, hostname=f"w-{n}"))[0], f"w-{n}")
            for n in range(MANY)
        ]
        async with asyncio.TaskGroup() as tasks:
            leave = asyncio.Event()
            for one in fleet:
                tasks.create_task(serve(one, leave))

            async def all_there():
                return server.application.presence.count() == MANY

            await until(all_there, 60)
            hosts = {one.device_id: one.hostname for one in fleet}
            begun = time.monotonic()
            order = await office.submit(office.command(hosts))
            await office.wait_for(order.order_id, succeeded=MANY)
            took = time.monotonic() - begun
            leave.set()
        assert took < 15

    in_office(mongo_uri, signers, story, settings_text="[limits]\nenroll_per_minute = 10000\n")


async def serve(one, leave):
    async with one.connected():
        await one.succeed()
        await leave.wait()


def test_what_a_device_says_of_itself_is_kept(mongo_uri, signers):
    async def story(office):
        web = await laptop(office.server)
        words = ["wipe", "commands", "wi\npe", "x" * 100]
        async with web.connected(release=2**64 - 1, denied=[*words, *["more"] * 100]):
            pass
        found = await office.server.stores.devices.get(web.device_id)
        assert found.release == 2**63 - 1
        assert found.denied == ("commands", "more", "wipe", "x" * 64)
        async with web.connected(release=7):
            pass
        found = await office.server.stores.devices.get(web.device_id)
        assert (found.release, found.denied) == (7, ())

    in_office(mongo_uri, signers, story)


def test_who_comes_back_hears_of_all_it_has_not_answered_whatever_else_it_works_at(
    mongo_uri, signers
):
    async def story(office):
        web = await laptop(office.server)
        made = [office.command(web.named) for _ in range(3 * UNHEARD_LIMIT)]
        async with web.connected():
            for envelope in made[: 2 * UNHEARD_LIMIT]:
                await office.submit(envelope)
            for _ in range(2 * UNHEARD_LIMIT):
                await web.say(web.word(id_of(await web.next_order()), "accepted"))
        for envelope in made[2 * UNHEARD_LIMIT :]:
            await office.submit(envelope)
        for _ in range(2):
            async with web.connected():
                came = [id_of(await web.next_order()) for _ in range(2 * UNHEARD_LIMIT)]
                assert set(map(id_of, made[2 * UNHEARD_LIMIT :])) < set(came)
                await web.no_order(0.1)

    in_office(mongo_uri, signers, story)
