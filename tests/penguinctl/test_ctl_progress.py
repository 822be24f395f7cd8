"""Long work shows how far it is, at a terminal only, and tells it who interrupts."""

import signal
import subprocess

import pytest

from penguindome.errors import Unavailable
from tests.penguinctl import samples
from tests.penguinctl.conftest import ENTRY


@pytest.fixture
def many(simulator, operator):
    samples.fill(simulator.state)
    simulator.state.issues = [
        samples.issue(f"01HZY3J5Q0G7X8K9M2N4P{n:05}", name="fan") for n in range(1200)
    ]
    return operator


def test_it_is_shown_after_a_second_and_taken_away(simulator, many):
    arrived, released = simulator.hold("CloseIssues")
    words = ("issue", "close", "--all", "--name", "fan")
    with many.session(*words, columns=100, PAGER="cat") as screen:
        assert arrived.wait(20)
        screen.wait_for("Closing issues: 0 of 1,200 (0 %)")
        released.set()
        assert screen.ended() == 0
        assert screen.seen.rpartition("\r\x1b[K")[2].startswith("Closed fan")


def test_one_long_call_shows_how_long_it_takes(simulator, many):
    arrived, released = simulator.hold("AuditDevices")
    with many.session("issue", "audit", PAGER="cat") as screen:
        assert arrived.wait(20)
        screen.wait_for("Judging devices: 1 s")
        released.set()
        assert screen.ended() == 0


def test_quick_work_and_programs_see_nothing(many):
    assert "Judging" not in many.terminal("issue", "audit").out
    result = many("issue", "close", "--all", "--name", "fan")
    assert (result.code, result.err) == (0, "")


def test_a_dumb_terminal_gets_no_line(simulator, many):
    arrived, released = simulator.hold("AuditDevices")
    with many.session("issue", "audit", TERM="dumb") as screen:
        assert arrived.wait(20)
        assert not released.wait(1.5)
        released.set()
        assert screen.ended() == 0
        assert "Judging devices: " not in screen.seen


def test_who_interrupts_is_told_how_far_it_came(simulator, many):
    process = subprocess.Popen(
        [ENTRY, "issue", "close", "--all", "--name", "fan"],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env=many.environment(),
    )
    arrived, released = simulator.hold("CloseIssues")
    assert arrived.wait(20)
    # The first part is done once the second is asked for.
    second, later = simulator.hold("CloseIssues")
    released.set()
    assert second.wait(20)
    process.send_signal(signal.SIGINT)
    _, said = process.communicate(timeout=20)
    later.set()
    assert process.returncode == 130
    assert "Closing issues: stopped after 500 of 1,200." in said
    assert "interrupted" in said


def test_a_failure_on_the_way_is_told_so_too(simulator, many):
    arrived, released = simulator.hold("CloseIssues")
    process = subprocess.Popen(
        [ENTRY, "issue", "close", "--all", "--name", "fan"],
        stderr=subprocess.PIPE,
        text=True,
        env=many.environment(),
    )
    assert arrived.wait(20)
    simulator.failures["CloseIssues"] = Unavailable("the server is tired")
    released.set()
    _, said = process.communicate(timeout=20)
    assert process.returncode == 5
    assert "Closing issues: stopped after 0 of 1,200." in said
    assert "the server is tired" in said
