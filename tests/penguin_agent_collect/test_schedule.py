"""When plugins are due, and which sit out."""

from __future__ import annotations

from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from penguin_agent.collect.bench import Bench, pause
from penguin_agent.collect.schedule import LONGEST, SHORTEST, Schedule, clamped

MINUTE = 60.0


def schedule(*, minutes=5, own=None, random=0.0):
    intervals = {name: timedelta(minutes=value) for name, value in (own or {}).items()}
    return Schedule(
        interval=timedelta(minutes=minutes), plugin_intervals=intervals, random=lambda: random
    )


def test_everything_is_due_at_first():
    assert schedule().due(["b", "a"], 1000.0) == ("a", "b")


def test_a_plugin_is_due_again_after_its_interval():
    plan = schedule(own={"slow": 60})
    plan.ran(["fast", "slow"], 0.0)
    assert plan.due(["fast", "slow"], 5 * MINUTE - 1) == ()
    assert plan.due(["fast", "slow"], 5 * MINUTE) == ("fast",)
    assert plan.next_time(["fast", "slow"], 1.0) == 5 * MINUTE
    assert plan.next_time(["slow"], 1.0) == 60 * MINUTE


def test_a_fleet_does_not_move_in_step():
    early, late = schedule(random=0.99), schedule(random=0.0)
    for plan in (early, late):
        plan.ran(["a"], 0.0)
    assert early.next_time(["a"], 0.0) < late.next_time(["a"], 0.0) == 5 * MINUTE


def test_a_long_sleep_makes_due_once():
    plan = schedule()
    plan.ran(["a"], 0.0)
    assert plan.due(["a"], 8 * 3600.0) == ("a",)
    plan.ran(["a"], 8 * 3600.0)
    assert plan.due(["a"], 8 * 3600.0 + 1) == ()


def test_the_servers_wish_is_clamped_and_the_devices_word_wins():
    plan = schedule(own={"mine": 30})
    plan.tune(
        interval=timedelta(seconds=1),
        plugin_intervals={"mine": timedelta(minutes=1), "other": timedelta(days=400)},
    )
    assert plan.interval("any") == SHORTEST
    assert plan.interval("mine") == timedelta(minutes=30)
    assert plan.interval("other") == LONGEST


def test_costly_plugins_run_less_often_unless_somebody_says_otherwise():
    assert schedule().interval("os_updates") == timedelta(hours=1)
    assert schedule(minutes=120).interval("os_updates") == timedelta(hours=2)
    assert schedule(own={"os_updates": 10}).interval("os_updates") == timedelta(minutes=10)


def test_a_shorter_interval_counts_from_the_last_run():
    plan = schedule(minutes=60)
    plan.ran(["a"], 100.0)
    plan.tune(interval=timedelta(minutes=2), plugin_intervals={})
    assert plan.next_time(["a"], 130.0) == 100.0 + 2 * MINUTE


@given(st.timedeltas())
def test_every_interval_is_within_bounds(interval):
    assert SHORTEST <= clamped(interval) <= LONGEST


def test_first_abuse_is_forgiven_and_later_ones_wait_longer_each():
    bench = Bench()
    bench.note("bad", 0.0, abused=True)
    assert not bench.is_benched("bad", 0.0)
    bench.note("bad", 0.0, abused=True)
    assert bench.benched(0.0) == ("bad",)
    assert not bench.is_benched("bad", 10 * MINUTE)
    bench.note("bad", 0.0, abused=True)
    assert bench.until("bad") == 20 * MINUTE


def test_one_good_run_ends_it():
    bench = Bench()
    for _ in range(5):
        bench.note("bad", 0.0, abused=True)
    bench.note("bad", 0.0, abused=False)
    assert bench.benched(0.0) == ()
    assert bench.until("bad") == 0.0


@pytest.mark.parametrize("count", [10, 1000, 10**9])
def test_no_pause_is_longer_than_a_day(count):
    assert pause(count) == timedelta(days=1)
