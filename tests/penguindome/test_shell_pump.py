"""What is written down one way: in order, one at a time, and at once where nothing is before it."""

from __future__ import annotations

import asyncio
import random
from collections import deque

import pytest

from penguindome.shell.pump import Begun, Pump, pause


class Way:
    """Something that takes its time to be written; notes what was begun and what is done."""

    def __init__(self, seed=0):
        self.chance = random.Random(seed)
        self.waiting, self.begun, self.done = deque(), [], []
        self.pump = Pump(self.take)
        self.is_over, self.fails_at, self.looked = False, None, 0
        self.gate = None

    def take(self):
        self.looked += 1
        return self.waiting.popleft() if self.waiting else None

    async def write(self, what):
        assert len(self.begun) == len(self.done), "two at a time"
        self.begun.append(what)
        for _ in range(self.chance.randrange(3)):
            await asyncio.sleep(0)
        if self.gate is not None:
            await self.gate
        if what == self.fails_at:
            raise ConnectionError("the way is broken")
        self.done.append(what)

    def put(self, what):
        if self.waiting or not self.pump.begin(what):
            self.waiting.append(what)
            self.pump.wake()

    def run(self):
        return asyncio.create_task(self.pump.run(self.write, lambda: self.is_over))


@pytest.mark.parametrize("seed", range(20))
def test_everything_is_written_once_and_in_order(seed):
    async def work():
        way, chance = Way(seed), random.Random(seed)
        running = way.run()
        for number in range(300):
            way.put(number)
            for _ in range(chance.choice([0, 0, 1, 5])):
                await asyncio.sleep(0)
        way.is_over = True
        way.pump.wake()
        await asyncio.wait_for(running, 5)
        assert way.done == list(range(300))

    asyncio.run(work())


def test_what_finds_the_way_idle_is_begun_before_anything_else_runs():
    async def work():
        way = Way()
        running = way.run()
        way.put("early")
        assert way.begun == []
        await asyncio.sleep(0.01)
        way.put("late")
        assert way.begun == ["early", "late"]
        running.cancel()
        await asyncio.wait([running])
        # Nobody writes any more.
        way.put("too late")
        assert way.begun == ["early", "late"]

    asyncio.run(work())


def test_no_task_is_woken_for_what_finds_the_way_idle():
    async def work():
        way, loop = Way(), asyncio.get_running_loop()
        running = way.run()
        await asyncio.sleep(0.01)
        looked = way.looked
        for number in range(5):
            way.gate = loop.create_future()
            way.put(number)
            await asyncio.sleep(0.001)
            assert way.done == list(range(number))
            way.gate.set_result(None)
            await asyncio.sleep(0.001)
            assert way.done == list(range(number + 1))
        assert way.looked == looked
        # And what comes while one is written has its turn.
        way.gate = loop.create_future()
        way.put("one")
        way.put("two")
        way.gate.set_result(None)
        await asyncio.sleep(0.01)
        assert way.done[5:] == ["one", "two"]
        running.cancel()

    asyncio.run(work())


@pytest.mark.parametrize("more", [0, 1])
def test_who_is_cancelled_takes_what_was_begun_along(more):
    async def work():
        way = Way()
        running = way.run()
        await asyncio.sleep(0.01)
        way.gate = asyncio.get_running_loop().create_future()
        for number in range(1 + more):
            way.put(number)
        running.cancel()
        with pytest.raises(asyncio.CancelledError):
            await running
        # Too late: nobody writes any more.
        if not way.gate.done():
            way.gate.set_result(None)
        await asyncio.sleep(0.01)
        assert (way.begun, way.done) == ([0], [])

    asyncio.run(work())


@pytest.mark.parametrize("is_idle", [True, False])
def test_a_failure_ends_it_where_it_runs_and_not_where_something_is_put(is_idle):
    async def work():
        way = Way(seed=3)
        way.fails_at = "bad"
        running = way.run()
        if is_idle:
            await asyncio.sleep(0.01)
        way.put("bad")
        with pytest.raises(ConnectionError):
            await asyncio.wait_for(running, 5)

    asyncio.run(work())


def test_what_was_begun_hears_that_it_is_cancelled():
    heard = []

    async def patient():
        try:
            await asyncio.sleep(60)
        except asyncio.CancelledError:
            heard.append("cancelled")
            await asyncio.sleep(0)
            heard.append("cleaned up")
            raise

    async def work():
        async def waits(begun):
            await begun

        waiting = asyncio.create_task(waits(Begun(patient())))
        await asyncio.sleep(0.01)
        waiting.cancel()
        with pytest.raises(asyncio.CancelledError):
            await waiting

    asyncio.run(work())
    assert heard == ["cancelled", "cleaned up"]


def test_what_was_begun_may_be_over_before_it_is_awaited():
    async def work():
        done = []

        async def brief():
            await asyncio.sleep(0)
            done.append(1)

        async def at_once():
            done.append(2)

        slow, quick = Begun(brief()), Begun(at_once())
        assert done == [2]
        await asyncio.sleep(0.01)
        await slow
        await quick
        assert done == [2, 1]

    asyncio.run(work())


def test_what_was_begun_goes_on_step_by_step_until_it_waits_for_something():
    async def work():
        done, gate = [], asyncio.Event()

        async def long():
            await pause()
            done.append(1)
            await pause()
            done.append(2)
            await gate.wait()
            done.append(3)
            await pause()
            done.append(4)

        begun = Begun(long())
        assert (begun.step(), done) == (True, [1])
        assert (begun.step(), done) == (True, [1, 2])
        # It waits now, and no step can be made for it.
        assert (begun.step(), done) == (False, [1, 2])
        waiting = asyncio.create_task(begun.rest())
        await asyncio.sleep(0.01)
        assert done == [1, 2]
        gate.set()
        await asyncio.wait_for(waiting, 5)
        assert (begun.step(), done) == (False, [1, 2, 3, 4])

    asyncio.run(work())


def test_what_fails_in_a_step_tells_so_where_it_is_awaited():
    async def fails():
        await pause()
        raise OSError(28, "full")

    async def work():
        begun = Begun(fails())
        assert begun.step()
        assert not begun.step()
        with pytest.raises(OSError, match="full"):
            await begun.rest()

    asyncio.run(work())
