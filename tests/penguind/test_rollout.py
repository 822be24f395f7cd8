"""How a release reaches the fleet: rings, health, halts and what operators may change."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from penguind.domain.rollout import Counts, Rollout, changed
from penguind.domain.rollout_plan import Plan, Ring, checked_plan, ring_of, share
from penguindome.errors import InvalidInput, PreconditionFailed

NOW = datetime(2026, 11, 25, 12, tzinfo=UTC)
CANARY = Ring("canary", selectors=("label:canary",))
TENTH = Ring("tenth", percent=10)
PLAN = Plan(rings=(CANARY, TENTH), automatic=True, soak=timedelta(hours=1))


def rollout(**facts):
    """Return a release that was published now."""
    values = {
        "number": 7,
        "order_id": "o",
        "label": "",
        "state": "waiting",
        "submitted_time": NOW,
        "expires_time": NOW + timedelta(days=100),
        "plan": PLAN,
    }
    return Rollout(**values | facts).published(NOW)


def rings(*counts):
    """Return the rings of PLAN, those not given without a device that was reached."""
    return [*counts, *(Counts(devices=9) for _ in range(3 - len(counts)))]


@pytest.mark.parametrize(
    ("counts", "bad", "good"),
    [
        (Counts(), False, True),
        (Counts(devices=1, refused=1), False, True),
        (Counts(devices=1, failed=1), True, False),
        (Counts(devices=9), False, False),
        (Counts(devices=9, healthy=1), False, True),
        (Counts(devices=9, healthy=1, under_way=2), False, False),
        (Counts(devices=9, healthy=1, under_way=1), False, True),
        (Counts(devices=20, healthy=9, failed=1), False, True),
        (Counts(devices=20, healthy=8, failed=1), True, False),
    ],
)
def test_a_ring_is_bad_once_too_many_of_those_that_answered_failed(counts, bad, good):
    assert (counts.bad(90), counts.good(90)) == (bad, good)


def test_a_single_device_that_fails_halts_at_once_and_a_plan_of_hundred_per_cent_forgives_none():
    found = rollout().judged(rings(Counts(devices=1, failed=1)), NOW)
    assert found.state == "halted"
    assert found.reason == "1 of 1 devices in ring canary did not stand it"
    strict = rollout(plan=replace(PLAN, healthy_percent=100))
    assert strict.judged(rings(Counts(devices=900, healthy=500, failed=1)), NOW).state == "halted"


def test_the_next_ring_opens_once_the_newest_was_good_for_the_soak_without_a_break():
    well, unsure = Counts(devices=3, healthy=1), Counts(devices=3, healthy=1, under_way=2)
    found = rollout().judged(rings(well), NOW)
    assert (found.open_rings, found.good_since) == (1, NOW)
    found = found.judged(rings(unsure), NOW + timedelta(minutes=50))
    assert found.good_since is None
    found = found.judged(rings(well), NOW + timedelta(minutes=55))
    found = found.judged(rings(well), NOW + timedelta(minutes=114))
    assert found.open_rings == 1
    found = found.judged(rings(well), NOW + timedelta(minutes=115))
    assert (found.open_rings, found.good_since) == (2, None)
    assert found.opened_times == (NOW, NOW + timedelta(minutes=115))


def test_a_plan_that_is_not_automatic_waits_for_an_operator():
    found = rollout(plan=replace(PLAN, automatic=False))
    for hours in range(100):
        found = found.judged(rings(Counts(devices=1, healthy=1)), NOW + timedelta(hours=hours))
    assert found.open_rings == 1
    assert found.advanced(NOW).open_rings == 2


def test_a_bad_ring_halts_also_when_it_is_not_the_newest_and_after_completion():
    found = rollout().advanced(NOW)
    assert found.judged(rings(Counts(3, 1, 1)), NOW).state == "halted"
    done = [Counts(devices=2, healthy=2)] * 3
    found = rollout().advanced(NOW).advanced(NOW).judged(done, NOW)
    assert found.state == "complete"
    assert found.judged(done, NOW).state == "complete"
    late = [Counts(devices=2, healthy=2), Counts(devices=3, healthy=2, failed=1), Counts()]
    assert found.judged(late, NOW).state == "halted"


def test_it_is_complete_only_when_nothing_is_to_be_expected_of_anybody():
    found = rollout().advanced(NOW).advanced(NOW)
    missing = [Counts(1, 1), Counts(2, 1, refused=1), Counts(9, 8)]
    assert found.judged(missing, NOW).state == "rolling"
    missing[-1] = Counts(9, 8, refused=1)
    assert found.judged(missing, NOW).state == "complete"


def test_what_an_operator_may_do_depends_on_the_state():
    found = rollout()
    halted = changed(found, "halt", reason="odd", excused=(), now=NOW)
    assert (halted.state, halted.reason) == ("halted", "odd")
    assert not halted.offered(NOW)
    for action in ("advance", "halt"):
        with pytest.raises(PreconditionFailed, match="release 7 is halted"):
            changed(halted, action, reason="", excused=(), now=NOW)
    resumed = changed(halted, "resume", reason="", excused=("d-b", "d-a"), now=NOW)
    assert (resumed.state, resumed.excused) == ("rolling", ("d-a", "d-b"))
    gone = changed(resumed, "withdraw", reason="", excused=(), now=NOW)
    for action in ("advance", "halt", "resume", "withdraw"):
        with pytest.raises(PreconditionFailed, match="withdrawn"):
            changed(gone, action, reason="", excused=(), now=NOW)
    with pytest.raises(InvalidInput, match="no such action"):
        changed(found, "explode", reason="", excused=(), now=NOW)
    with pytest.raises(PreconditionFailed, match="every ring is open"):
        found.advanced(NOW).advanced(NOW).advanced(NOW)


def test_it_is_offered_no_longer_once_it_expired():
    found = rollout()
    assert found.offered(NOW)
    assert not found.offered(found.expires_time)


@pytest.mark.parametrize(
    ("plan", "reason"),
    [
        (Plan(rings=(Ring("all", percent=1),)), "reserved"),
        (Plan(rings=(Ring("a b", percent=1),)), "name"),
        (Plan(rings=(Ring("a", percent=1), Ring("a", percent=2))), "twice"),
        (Plan(rings=(Ring("a"),)), "either selectors or a share"),
        (Plan(rings=(Ring("a", 5, ("web-1",)),)), "either selectors or a share"),
        (Plan(rings=(Ring("a", percent=101),)), "1 to 100"),
        (Plan(rings=(Ring("a", percent=50), CANARY, Ring("b", percent=50))), "adds nobody"),
        (Plan(healthy_percent=101), "within 1 and 100"),
        (Plan(soak=timedelta(days=366)), "a year at most"),
        (Plan(rings=tuple(Ring(f"r{i}", percent=i + 1) for i in range(17))), "more than 16"),
    ],
)
def test_a_plan_that_cannot_be_followed_is_refused(plan, reason):
    with pytest.raises(InvalidInput, match=reason):
        checked_plan(plan)


def test_a_plan_without_a_share_of_healthy_ones_gets_the_usual():
    assert checked_plan(replace(PLAN, healthy_percent=0)) == PLAN


IDS = st.text("0123456789abcdef", min_size=1, max_size=12)
NUMBERS = st.integers(1, 2**53)


@given(IDS, NUMBERS, st.lists(st.integers(1, 100), min_size=1, max_size=9, unique=True))
def test_shares_add_up_so_that_a_larger_ring_holds_the_smaller_one(device_id, number, percents):
    plan = Plan(rings=tuple(Ring(f"r{p}", percent=p) for p in sorted(percents)))
    index = ring_of(plan, number, device_id, [False] * len(percents))
    below = [p <= share(device_id, number) for p in sorted(percents)]
    assert below == [i < index for i in range(len(percents))]
    assert 0 <= share(device_id, number) < 100


def test_shares_are_as_large_as_they_say_and_differ_between_releases():
    ids = [f"{i:032x}" for i in range(4000)]
    first = {one for one in ids if share(one, 1) < 10}
    second = {one for one in ids if share(one, 2) < 10}
    assert 320 < len(first) < 480
    assert len(first & second) < 100


COUNTS = st.builds(
    Counts,
    devices=st.integers(0, 50),
    healthy=st.integers(0, 50),
    failed=st.integers(0, 50),
    under_way=st.integers(0, 50),
    refused=st.integers(0, 50),
)


@given(st.lists(st.lists(COUNTS, min_size=3, max_size=3), max_size=20), st.integers(1, 100))
def test_no_course_of_events_opens_a_ring_after_a_bad_one_or_skips_one(steps, healthy):
    found = rollout(plan=replace(PLAN, healthy_percent=healthy, soak=timedelta()))
    for hour, counts in enumerate(steps):
        before = found
        found = found.judged(counts, NOW + timedelta(hours=hour))
        assert found.open_rings - before.open_rings in (0, 1)
        if before.state in ("rolling", "complete"):
            bad = any(one.bad(healthy) for one in counts[: before.open_rings])
            assert (found.state == "halted") == bad
        else:
            assert found == before


@given(COUNTS, st.integers(1, 100))
def test_no_ring_is_both_good_and_bad(counts, healthy):
    alive = counts.devices > counts.refused
    assert not (alive and counts.good(healthy) and counts.bad(healthy))
