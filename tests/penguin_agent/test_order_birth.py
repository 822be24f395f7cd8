"""When a memory of orders began, by a clock that was wrong then or is wrong now."""

from __future__ import annotations

from datetime import timedelta

import pytest

from penguin_agent.orders.store import OrderStore
from penguin_agent.orders.voice import Voice
from penguindome import keys
from penguindome.ids import new_device_id, new_fleet_id
from penguindome.times import utc_now

KEY = keys.generate_key()
YEARS = timedelta(days=2000)
SOON = timedelta(seconds=30)


def store(folder):
    return OrderStore(folder, Voice(new_fleet_id(), new_device_id(), lambda: KEY))


@pytest.fixture
def reborn(folder):
    """Return a function that has a memory begin anew at a time."""

    def begin(now):
        first = store(folder)
        first.open(now - timedelta(days=1))
        first.file.close()
        first.file.path.unlink()
        second = store(folder)
        second.open(now)
        return second

    return begin


def test_a_memory_that_began_by_a_right_clock_began_then(reborn):
    now = utc_now()
    birth = reborn(now).birth(now + SOON)
    assert birth.lost
    assert now - SOON < birth.time < now + 2 * SOON


def test_a_clock_that_was_behind_at_the_beginning_lets_nothing_older_pass(reborn, folder):
    now = utc_now()
    begun = reborn(now - YEARS)
    assert begun.birth(now).time > now - SOON
    # Once that was found out, it stands, also after the machine started anew.
    begun.file.close()
    again = store(folder)
    again.open(now)
    assert again.birth(now - YEARS).time > now - SOON


@pytest.mark.parametrize("later", [-YEARS, timedelta(), SOON])
def test_a_clock_that_is_put_back_does_not_make_a_memory_older(reborn, later):
    now = utc_now()
    begun = reborn(now)
    before = begun.birth(now).time
    assert begun.birth(now + later).time >= before - SOON


def test_a_memory_that_nobody_lost_refuses_nothing(folder):
    begun = store(folder)
    begun.open(utc_now())
    assert not begun.birth(utc_now() + YEARS).lost
