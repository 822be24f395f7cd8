"""Watching an order: all of it, soon, in order, once, and also when something was missed."""

from __future__ import annotations

import asyncio
import time
from contextlib import asynccontextmanager

import grpc.aio

from penguind.orders.hub import Hub
from penguind.orders.watching import OrderNow, Started, Watching
from penguind.store.order_output import Piece
from penguindome.v1 import order_pb2
from tests.harness.office_stories import in_office, signers
from tests.harness.ordering import laptop, printed
from tests.harness.serving import refusal

__all__ = ["signers"]


class Watch:
    """One watcher's stream."""

    def __init__(self, call):
        self.call = call

    async def next(self):
        async with asyncio.timeout(20):
            return await self.call.read()

    async def until_started(self):
        """Return all events before the watch began."""
        events = []
        while not (event := await self.next()).HasField("started"):
            events.append(event)
        return events

    async def rest(self):
        """Return everything until the end."""
        events = []
        while (event := await self.next()) is not grpc.aio.EOF:
            events.append(event)
        return events


@asynccontextmanager
async def watching(office, order_id, *, output=False):
    request = order_pb2.WatchOrderRequest(order_id=order_id, output=output)
    call = office.stub().WatchOrder(request)
    try:
        yield Watch(call)
    finally:
        call.cancel()


def test_a_watcher_hears_of_a_first_result_within_milliseconds(mongo_uri, signers):
    async def story(office):
        web, db = await laptop(office.server), await laptop(office.server, "db-1")
        order = await office.submit(office.command({**web.named, **db.named}))
        took = []
        async with watching(office, order.order_id) as watch, web.connected():
            first, *targets = await watch.until_started()
            assert first.order.order_id == order.order_id
            assert [one.target.hostname for one in targets] == ["db-1", "web-1"]
            await web.next_order()
            await drained(watch, "sent")
            for number in range(1, 21):
                begun = time.monotonic()
                asyncio.get_running_loop().create_task(
                    web.say(web.word(order.order_id, "running", number))
                )
                await drained(watch, "running")
                took.append(time.monotonic() - begun)
        took.sort()
        assert took[len(took) // 2] < 0.25, took

    in_office(mongo_uri, signers, story)


async def drained(watch, state):
    """Read until a target has a state, and the order that follows it was told where it changed."""
    while (await watch.next()).target.state != state:
        pass


def test_everything_is_told_once_and_in_order_until_all_ended(mongo_uri, signers):
    async def story(office):
        web, db = await laptop(office.server), await laptop(office.server, "db-1")
        order = await office.submit(office.command({**web.named, **db.named}))
        order_id = order.order_id
        async with watching(office, order_id, output=True) as watch:
            await watch.until_started()
            for one in (web, db):
                async with one.connected():
                    await one.next_order()
                    await one.say(one.word(order_id, "running", 2))
                    await one.say(outputs=[printed(order_id, b"a" * 1000)])
                    await one.say(
                        one.word(order_id, "succeeded", 3, stdout_bytes=2000),
                        outputs=[printed(order_id, b"b" * 1000, 1000)],
                    )
            events = await watch.rest()
        for one in (web, db):
            text = b"".join(e.output.data for e in events if e.device_id == one.device_id)
            assert text == b"a" * 1000 + b"b" * 1000
            states = [e.target.state for e in events if e.target.device_id == one.device_id]
            assert states[-1] == "succeeded"
            assert states.count("succeeded") == 1
        last = events[-1].order
        assert (last.ended, dict(last.targets_by_state)) == (True, {"succeeded": 2})

    in_office(mongo_uri, signers, story)


def test_output_that_comes_after_the_end_is_waited_for(mongo_uri, signers):
    async def story(office):
        web = await laptop(office.server)
        order_id = (await office.submit(office.command(web.named))).order_id
        async with watching(office, order_id, output=True) as watch, web.connected():
            await watch.until_started()
            await web.next_order()
            await web.say(web.word(order_id, "succeeded", stdout_bytes=4))
            await asyncio.sleep(1.5)
            await web.say(outputs=[printed(order_id, b"late")])
            events = await watch.rest()
        assert [one.output.data for one in events if one.HasField("output")] == [b"late"]

    in_office(mongo_uri, signers, story)


def test_an_order_that_ended_is_told_whole_and_the_watch_is_over(mongo_uri, signers):
    async def story(office):
        web = await laptop(office.server)
        async with web.connected():
            order_id = (await office.submit(office.command(web.named))).order_id
            await web.succeed()
            await office.wait_for(order_id, succeeded=1)
        async with watching(office, order_id) as watch:
            events = await watch.rest()
        kinds = [event.WhichOneof("event") for event in events]
        assert kinds[:3] == ["order", "target", "started"]
        assert events[-1].HasField("started") or events[-1].order.ended
        unknown = office.stub().WatchOrder(order_pb2.WatchOrderRequest(order_id="0" * 26))
        assert (await refusal(unknown.read())).code == "no-order"

    in_office(mongo_uri, signers, story)


def test_what_another_process_stored_is_found_by_looking(mongo_uri, signers):
    """A second process has a hub of its own, which nobody tells of what the first one stores."""

    async def story(office):
        web = await laptop(office.server)
        order_id = (await office.submit(office.command(web.named))).order_id
        stores = office.server.stores
        elsewhere = Watching(
            orders=stores.orders,
            targets=stores.order_targets,
            output=stores.order_output,
            hub=Hub(),
            look_seconds=0.1,
        )

        async def follow():
            return [event async for event in elsewhere.follow(order_id, output=True)]

        async with web.connected(), asyncio.timeout(20):
            task = asyncio.create_task(follow())
            await web.next_order()
            await web.say(web.word(order_id, "running"), outputs=[printed(order_id, b"one")])
            await web.say(web.word(order_id, "failed", 2, exit_code=1, stdout_bytes=3))
            events = await task
        assert [one.data for one in events if isinstance(one, Piece)] == [b"one"]
        assert sum(isinstance(one, Started) for one in events) == 1
        last = [one for one in events if isinstance(one, OrderNow)][-1]
        assert dict(last.counts) == {"failed": 1}

    in_office(mongo_uri, signers, story)


def test_a_watcher_that_does_not_read_costs_nothing_and_misses_nothing(mongo_uri, signers):
    async def story(office):
        web = await laptop(office.server)
        limit = {"output_limit_bytes": 8 * 1024 * 1024}
        order_id = (await office.submit(office.command(web.named, body=limit))).order_id
        piece = bytes(256 * 1024)
        async with watching(office, order_id, output=True) as watch, web.connected():
            await watch.until_started()
            await web.next_order()
            for number in range(24):
                await web.say(
                    web.word(order_id, "running", number + 1),
                    outputs=[printed(order_id, piece, number * len(piece))],
                )
            total = 24 * len(piece)
            await web.say(web.word(order_id, "succeeded", 99, stdout_bytes=total))
            offsets = [
                (event.output.offset, len(event.output.data))
                for event in await watch.rest()
                if event.HasField("output")
            ]
        assert offsets == [(number * len(piece), len(piece)) for number in range(24)]

    in_office(mongo_uri, signers, story)
