"""The pure rules: pauses, renewal, clocks, hints, the output `agent`."""

import json
import socket
from datetime import UTC, datetime, timedelta
from types import SimpleNamespace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from penguin_agent.backoff import Backoff
from penguin_agent.builtin import agent_output
from penguin_agent.clock import DeviceClock
from penguin_agent.hints import hint, machine_hints
from penguin_agent.renewal import is_due, is_usable, renewal_time, seconds_until_due
from penguin_agent.service_manager import notify

NOW = datetime(2030, 6, 1, tzinfo=UTC)
DAY = timedelta(days=1)


def certificate(serial="00ff"):
    return SimpleNamespace(not_before=NOW, not_after=NOW + 14 * DAY, serial=serial)


@given(st.text("0123456789abcdef", min_size=1, max_size=40))
def test_renewal_is_due_on_day_five_spread_over_a_day(serial):
    due = renewal_time(certificate(serial))
    assert NOW + 5 * DAY <= due <= NOW + 6 * DAY


@pytest.mark.parametrize(
    ("days", "due", "usable"),
    [(-1, False, False), (0, False, True), (4, False, True), (7, True, True), (400, True, False)],
)
def test_only_the_certificates_dates_decide(days, due, usable):
    facts, moment = certificate(), NOW + days * DAY
    assert (is_due(facts, moment), is_usable(facts, moment)) == (due, usable)
    assert (seconds_until_due(facts, moment) == 0) is due


def test_pauses_grow_to_five_minutes_and_are_random_below():
    highest = Backoff(lambda _low, high: high)
    pauses = [highest.next_seconds() for _attempt in range(40)]
    assert pauses[:3] == [2.0, 4.0, 8.0]
    assert max(pauses) == pauses[-1] == 300.0
    highest.reset()
    assert highest.next_seconds() == 2.0
    assert Backoff(lambda low, _high: low).next_seconds() == 1.0


class Clocks:
    """A wall clock that jumps and a steady one that does not."""

    def __init__(self):
        self.wall, self.steady = NOW, 100.0
        self.clock = DeviceClock(lambda: self.wall, lambda: self.steady)


@pytest.mark.parametrize("years", [-5, 5])
def test_a_clock_years_out_is_wrong_and_the_servers_is_taken(years):
    clocks = Clocks()
    clocks.wall = NOW + years * 365 * DAY
    clocks.clock.heard(NOW)
    assert clocks.clock.is_wrong()
    clocks.steady += 3600
    assert clocks.clock.best() == NOW + timedelta(hours=1)


def test_a_clock_that_jumps_later_is_noticed_and_sleep_is_counted():
    clocks = Clocks()
    clocks.clock.heard(NOW)
    clocks.wall, clocks.steady = NOW + 2 * DAY, 100.0 + 2 * 86400
    assert not clocks.clock.is_wrong()
    clocks.wall += timedelta(minutes=6)
    assert clocks.clock.is_wrong()
    assert clocks.clock.skew() == timedelta(minutes=6)


def test_a_signed_time_is_a_floor_before_the_server_was_heard():
    clocks = Clocks()
    assert not clocks.clock.is_wrong()
    assert clocks.clock.best() == NOW
    clocks.clock.signed(NOW + DAY)
    clocks.clock.signed(NOW - DAY)
    assert clocks.clock.is_wrong()
    assert clocks.clock.skew() is None


def test_hints_are_keyed_and_meaningless_identifiers_give_none(tmp_path):
    (tmp_path / "etc").mkdir()
    (tmp_path / "etc/machine-id").write_text("0123abcd\n")
    (tmp_path / "sys/class/dmi/id").mkdir(parents=True)
    (tmp_path / "sys/class/dmi/id/board_serial").write_text("To be filled by O.E.M.\n")
    hints = machine_hints("fleet-a", tmp_path)
    assert hints == {"machine-id": hint("0123abcd", "fleet-a")}
    assert hints["machine-id"] != hint("0123abcd", "fleet-b")


def test_the_output_agent_says_what_checks_need():
    output = agent_output(
        version="1",
        dead_letters=2,
        benched=("b", "a"),
        problems=[(f"p{n}", "x" * 1000) for n in range(100)],
        clock_wrong=True,
        now=NOW,
    )
    value = json.loads(output.json)
    assert value["benched"] == ["a", "b"]
    assert value["clock"] == "wrong"
    assert value["dead_letters"] == 2
    assert len(output.json) < 16 * 1024


def test_the_service_manager_is_told_where_there_is_one(folder):
    assert not notify("READY=1", "")
    assert not notify("READY=1", str(folder / "missing"))
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as manager:
        manager.bind(str(folder / "n"))
        assert notify("READY=1", str(folder / "n"))
        assert manager.recv(100) == b"READY=1"
