"""The database's primary steps down or freezes while orders flow: none is lost, none runs twice."""

from __future__ import annotations

import asyncio
import contextlib
import time
from functools import partial

import grpc
import pytest

from penguindome.chain import GENESIS, row_hash
from penguindome.errors import Unavailable
from tests.attacks.test_database_troubles import freeze, step_down
from tests.harness.office_stories import in_office, signers, until
from tests.harness.ordering import id_of, laptop
from tests.harness.replica_set import ReplicaSet

__all__ = ["signers"]

pytestmark = pytest.mark.timeout(240)
TRY_AGAIN = {
    grpc.StatusCode.UNAVAILABLE,
    grpc.StatusCode.DEADLINE_EXCEEDED,
    grpc.StatusCode.CANCELLED,
}
AFTER_SECONDS = 5.0


@pytest.fixture(scope="module")
def replica_set():
    with ReplicaSet() as running:
        yield running


async def persist(call):
    """Repeat a call until it is answered, as clients do; return the answer."""
    while True:
        try:
            return await call()
        except grpc.RpcError as error:
            if error.code() not in TRY_AGAIN:
                raise
        await asyncio.sleep(0.2)


class Worker:
    """A device with a memory: it runs each order once, and answers from its memory after that."""

    def __init__(self, laptop):
        self.laptop = laptop
        self.runs = {}

    async def work(self):
        while True:
            with contextlib.suppress(grpc.RpcError, AttributeError):
                async with self.laptop.connected():
                    await self._answer()
            await asyncio.sleep(0.2)

    async def _answer(self):
        while True:
            order_id = id_of(await self.laptop.orders.get())
            self.runs.setdefault(order_id, 0)
            self.runs[order_id] += 1
            words = [
                self.laptop.word(order_id, "accepted", 1),
                self.laptop.word(order_id, "succeeded", 2),
            ]
            assert await persist(partial(self.laptop.say, *words)) == []


@pytest.mark.parametrize("trouble", [step_down, freeze])
def test_no_acknowledged_order_is_lost_and_each_ends_once(replica_set, signers, trouble):
    async def story(office):
        worker = Worker(await laptop(office.server))
        accepted = []

        async def submit_for_ever():
            while True:
                envelope = office.command(worker.laptop.named)
                await persist(partial(office.submit, envelope))
                accepted.append(id_of(envelope))
                await asyncio.sleep(0.05)

        tasks = [asyncio.create_task(one) for one in (worker.work(), submit_for_ever())]

        async def more_than(count, until_time=0.0):
            return len(accepted) > count and time.monotonic() > until_time

        await until(partial(more_than, 10), 60)
        await asyncio.to_thread(trouble, replica_set)
        await asyncio.to_thread(replica_set.wait_until_whole)
        later = time.monotonic() + AFTER_SECONDS
        await until(partial(more_than, len(accepted) + 10, later), 80)
        tasks[1].cancel()
        await all_ended(office, accepted)
        for one in tasks:
            one.cancel()
        await asyncio.wait(tasks)
        stored = office.server.database.db["orders"]
        assert await stored.count_documents({"_id": {"$in": accepted}}) == len(accepted)
        assert set(accepted) <= set(worker.runs)
        await check_ledger(office, accepted)

    in_office(replica_set.uri, signers, story, seconds=220)


async def all_ended(office, order_ids):
    async def succeeded():
        try:
            counts = await office.server.stores.order_targets.counts(order_ids)
        except Unavailable:
            return False
        return all(counts.get(one) == {"succeeded": 1} for one in order_ids)

    await until(succeeded, 60)


async def check_ledger(office, order_ids):
    """The chain holds, and names each end."""
    previous, ends = GENESIS, set()
    for row in await office.server.stores.ledger.after(0, 100_000):
        assert row.hash == row_hash(
            previous=previous,
            number=row.number,
            time_unix_ms=row.time_unix_ms,
            details=row.details,
            actor=row.actor,
            action=row.action,
            target=row.target,
        )
        previous = row.hash
        if row.action == "order.receipt":
            ends.add(row.target)
    assert set(order_ids) <= ends
