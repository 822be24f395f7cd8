from __future__ import annotations

from datetime import UTC, datetime, timedelta

from hypothesis import given
from hypothesis import strategies as st

from penguind.domain.port_use import PERIOD, PortUse

NOW = datetime(2026, 11, 25, tzinfo=UTC)
HOUR = timedelta(hours=1)


def after(*uses):
    """Return what is known after uses: hours and whether the listener was deprecated."""
    known = PortUse()
    for hours, deprecated in uses:
        name = "old" if deprecated else "new"
        known = known.used(name, NOW + hours * HOUR, deprecated=deprecated)
    return known


def test_who_uses_only_the_deprecated_one_lingers_for_a_day():
    known = after((0, True))
    assert known.deprecated == "old"
    assert known.lingers(NOW + 23 * HOUR)
    assert not known.lingers(NOW + PERIOD)
    assert known.over(NOW + PERIOD)


def test_who_moves_does_not_linger():
    assert not after((0, True), (1, False)).lingers(NOW + HOUR)


def test_who_was_never_seen_does_not_linger():
    assert not PortUse().lingers(NOW)
    assert PortUse().over(NOW)


def test_who_moves_back_lingers_when_the_better_one_was_not_used_for_a_day():
    known = after((0, False), (1, True), (25, True))
    assert not known.lingers(NOW + 23 * HOUR)
    assert known.lingers(NOW + 25 * HOUR)


@given(st.lists(st.tuples(st.integers(0, 200), st.booleans()), max_size=40))
def test_who_uses_both_never_comes_and_goes(uses):
    known = PortUse()
    last_current = None
    for hours, deprecated in sorted(uses):
        now = NOW + hours * HOUR
        known = known.used("x", now, deprecated=deprecated)
        last_current = last_current if deprecated else now
        if last_current is not None and now - last_current < PERIOD:
            assert not known.lingers(now)
        elif deprecated:
            assert known.lingers(now)
