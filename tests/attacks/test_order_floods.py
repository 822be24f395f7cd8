"""Devices that print, tell and call without end about their own orders."""

from __future__ import annotations

import asyncio

import pytest

from penguind.orders.updates import ITEMS_LIMIT, RATES
from tests.attacks.test_foreign_orders import changed, everything
from tests.harness.database import mongo_uri
from tests.harness.office_stories import in_office, signers
from tests.harness.ordering import laptop, printed
from tests.harness.serving import refusal

__all__ = ["mongo_uri", "signers"]

pytestmark = pytest.mark.timeout(180)
LIMIT = 1024 * 1024


def test_a_flood_of_output_is_kept_up_to_the_limit_and_cut_there(mongo_uri, signers):
    async def story(office):
        web, other = await laptop(office.server), await laptop(office.server, "other")
        body = {"output_limit_bytes": LIMIT}
        hosts = {**web.named, **other.named}
        order_id = (await office.submit(office.command(hosts, body=body))).order_id
        async with web.connected():
            await web.next_order()
        piece = bytes(256 * 1024)
        for number in range(8):
            await web.say(outputs=[printed(order_id, piece, number * len(piece))])
        # Again from each offset, in both streams, and far beyond.
        for offset in (0, 1, 1000, LIMIT - 1, LIMIT, 2**40):
            for stream in ("stdout", "stderr"):
                await web.say(outputs=[printed(order_id, piece, offset, stream)])
        await web.say(outputs=[printed(order_id, piece, LIMIT // 2, "stderr")])
        held = 0
        async for one in office.server.database.db["order_output"].find():
            held += len(one["data"])
        assert held <= 2 * LIMIT
        found = {one.device_id: one for one in (await office.get(order_id)).targets}
        assert found[web.device_id].stdout_bytes == LIMIT
        assert found[web.device_id].truncated
        assert (found[other.device_id].stdout_bytes, found[other.device_id].truncated) == (0, False)

    in_office(mongo_uri, signers, story)


def test_output_of_strange_shape_is_refused_or_left_out(mongo_uri, signers):
    async def story(office):
        web = await laptop(office.server)
        order_id = (await office.submit(office.command(web.named))).order_id
        before = await everything(office)
        strange = [
            printed(order_id, b"x", stream="stdlog"),
            printed(order_id, b"x", stream=""),
            printed("{$gt: 0}", b"x"),
            printed(order_id, b"x", part="p" * 300),
            printed(order_id, bytes(256 * 1024 + 1)),
            printed(order_id, b"x", 2**63),
        ]
        for one in strange:
            assert (await refusal(web.say(outputs=[one]))).code == "bad-output"
        many = [printed(order_id, b"")] * (ITEMS_LIMIT + 1)
        assert (await refusal(web.say(outputs=many))).code == "too-large"
        large = [printed(order_id, bytes(250_000), n * 250_000) for n in range(5)]
        assert (await refusal(web.say(outputs=large))).code == "too-large"
        for part in ("commands/x", "../x", "$where", "a/b/c"):
            word = web.word(order_id, "running", part=part)
            assert await web.say(word, outputs=[printed(order_id, b"x", part=part)]) == []
        assert await everything(office) == before

    in_office(mongo_uri, signers, story)


def test_long_words_of_many_devices_do_not_hide_an_order_from_operators(mongo_uri, signers):
    async def story(office):
        crowd = [await laptop(office.server, f"w-{number}") for number in range(55)]
        hosts = {one.device_id: one.hostname for one in crowd}
        order_id = (await office.submit(office.command(hosts))).order_id
        for one in crowd:
            await one.say(changed(one, order_id, details={"a": "\u00e9" * 30_000}))
        targets = (await office.get(order_id)).targets
        assert {one.state for one in targets} == {"succeeded"}
        assert len(targets) == len(crowd)
        assert targets[0].receipt.payload
        assert not targets[-1].receipt.payload

    in_office(mongo_uri, signers, story)


def test_a_device_that_calls_without_end_is_told_to_wait_and_others_are_not(mongo_uri, signers):
    async def story(office):
        web, other = await laptop(office.server), await laptop(office.server, "other")
        order_id = (await office.submit(office.command(other.named))).order_id
        for _ in range(RATES.report_burst // 50 + 1):
            calls = [web.say(outputs=[]) for _ in range(50)]
            await asyncio.gather(*calls, return_exceptions=True)
        error = await refusal(web.say())
        assert (error.code, error.retry_after_seconds > 0) == ("report-quota", True)
        assert await other.say(other.word(order_id, "succeeded")) == []

    in_office(mongo_uri, signers, story)
