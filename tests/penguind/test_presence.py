from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from penguind.admission import Admission
from penguind.presence import (
    CollectNow,
    Ended,
    GoAway,
    Order,
    Presence,
    TrustChanged,
    VerdictsChanged,
)
from penguind.rates import RateLimits, ReportRates
from penguindome.envelope import Envelope
from penguindome.errors import LimitExceeded

NOW = datetime(2026, 11, 25, tzinfo=UTC)
SECOND = timedelta(seconds=1)


def test_messages_come_in_order():
    presence = Presence()
    stream = presence.enter("d-1")
    assert presence.push("d-1", CollectNow((), "r"))
    assert presence.push("d-1", TrustChanged(2))
    assert stream.wake.is_set()
    assert [stream.take(), stream.take(), stream.take()] == [
        CollectNow((), "r"),
        TrustChanged(2),
        None,
    ]
    assert not stream.wake.is_set()


def test_urgent_orders_overtake_what_waits():
    presence = Presence()
    stream = presence.enter("d-1")
    slow, urgent = Order(Envelope("command", b"1")), Order(Envelope("wipe", b"2"), urgent=True)
    for message in (slow, TrustChanged(2), urgent):
        assert presence.push("d-1", message)
    assert [stream.take() for _ in range(4)] == [urgent, slow, TrustChanged(2), None]


def test_absent_device_takes_nothing():
    presence = Presence()
    assert not presence.push("d-1", VerdictsChanged())
    assert not presence.connected("d-1")


def test_newest_stream_wins():
    presence = Presence()
    former, newest = presence.enter("d-1"), presence.enter("d-1")
    assert isinstance(former.take(), GoAway)
    assert presence.count() == 1
    assert not presence.leave(former)
    assert presence.push("d-1", TrustChanged(1))
    assert newest.take() == TrustChanged(1)
    assert presence.leave(newest)
    assert presence.connected_ids() == frozenset()


def test_connection_that_takes_nothing_is_ended():
    presence = Presence()
    stream = presence.enter("d-1")
    sent = [presence.push("d-1", TrustChanged(number)) for number in range(100)]
    assert sent.count(True) == 64
    assert isinstance(stream.take(), GoAway)


def test_same_news_waits_once():
    presence = Presence()
    stream = presence.enter("d-1")
    for _ in range(100):
        assert presence.push("d-1", VerdictsChanged())
    assert stream.take() == VerdictsChanged()
    assert stream.take() is None


def test_drain_ends_present_and_later_streams():
    presence = Presence()
    present = presence.enter("d-1")
    presence.push("d-1", TrustChanged(1))
    presence.drain(retry_after_seconds=7, reason="restart")
    later = presence.enter("d-2")
    assert present.take() == later.take() == GoAway(7, "restart")


def test_ended_identity_overrides_everything():
    stream = Presence().enter("d-1")
    stream.end(GoAway(1, "restart"))
    stream.end(Ended())
    assert stream.take() == Ended()


def test_herd_is_spread():
    admission = Admission(rate=100, longest_seconds=60)
    waits = [admission.wait_seconds(backlog=1, now=NOW) for _ in range(2000)]
    assert waits[0] == 0
    assert waits == sorted(waits)
    assert waits[-1] == 19
    assert max(waits.count(second) for second in set(waits)) <= 101
    assert admission.wait_seconds(backlog=1, now=NOW + 30 * SECOND) == 0


def test_claimed_backlog_is_bounded():
    admission = Admission(rate=1, longest_seconds=60)
    admission.wait_seconds(backlog=2**32 - 1, now=NOW)
    assert admission.wait_seconds(backlog=1, now=NOW) == 10
    for _ in range(100):
        wait = admission.wait_seconds(backlog=2**32 - 1, now=NOW)
    assert wait == 60


def test_burst_then_steady_rate():
    rates = ReportRates(RateLimits(reports_per_minute=12, report_burst=3))
    for _ in range(3):
        rates.take("d-1", 10, NOW)
    with pytest.raises(LimitExceeded) as caught:
        rates.take("d-1", 10, NOW)
    assert caught.value.retry_after_seconds == 5
    assert rates.refused("d-1") == 1
    rates.take("d-2", 10, NOW)
    rates.take("d-1", 10, NOW + 5 * SECOND)
    assert rates.refused("d-1") == 0
    # A clock set back gives nothing and breaks nothing.
    with pytest.raises(LimitExceeded):
        rates.take("d-1", 10, NOW - 500 * SECOND)


def test_bytes_of_a_day():
    rates = ReportRates(RateLimits(report_bytes_per_day=86_400))
    rates.take("d-1", 86_000, NOW)
    with pytest.raises(LimitExceeded) as caught:
        rates.take("d-1", 1000, NOW)
    assert caught.value.retry_after_seconds == 600
    rates.take("d-1", 1000, NOW + 600 * SECOND)
