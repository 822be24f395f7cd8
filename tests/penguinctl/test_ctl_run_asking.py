"""penguinctl run: what is asked, of whom, and for which devices."""

import signal

import pytest

from penguinctl import ordering
from penguindome.errors import Forbidden
from penguindome.orders.kinds import KINDS
from tests.penguinctl import samples
from tests.penguinctl.conftest import ENTRY
from tests.penguinctl.pty_session import Session


def only(book):
    (kept,) = book.kept.values()
    return kept


def test_a_question_is_asked_at_a_terminal_and_no_is_no(commander, simulator):
    result = commander.terminal("run", "twin", "--", "reboot now", typed=b"n\n", NO_COLOR="1")
    assert result.code == 6
    assert simulator.requests("SubmitOrder") == []
    for words in ("/bin/sh -c 'reboot now'", f"twin ({samples.TWIN_1})", "2 devices? [y/N]"):
        assert words in result.out


def test_a_question_that_nobody_could_see_is_not_asked(commander, simulator):
    with commander.session("run", "web-1", "--", "x") as screen:
        screen.wait_for("[y/N]")
        screen.process.send_signal(signal.SIGINT)
        assert screen.ended() == 130
    command = f"{ENTRY} run web-1 -- x 2>{commander.home}/err"
    with Session(["sh", "-c", command], commander.environment()) as hidden:
        assert hidden.ended() == 6
    assert "could not see" in (commander.home / "err").read_text()
    assert simulator.requests("SubmitOrder") == []


def test_devices_that_forbid_commands_are_told_and_left_out(commander, book, simulator):
    simulator.state.devices[1].denied[:] = ["commands", "wipe"]
    done = commander("run", "twin", "web-1", "--", "x")
    assert done.code == 1
    assert "twin: its own settings forbid commands\n" in done.err
    assert set(only(book).targets) == {samples.TWIN_2, samples.WEB}
    simulator.state.devices[2].denied[:] = ["commands"]
    done = commander("run", "twin", "--", "x")
    assert (done.code, len(book.kept)) == (6, 1)
    assert "Nothing was sent" in done.err


def test_an_operator_without_the_role_is_told_before_anything_is_asked(commander, simulator):
    with pytest.raises(Forbidden, match="has not the role command") as caught:
        ordering.check_role(simulator.orders.trust(), KINDS["command"], "F" * 40)
    assert "alice" in caught.value.remedy


def test_more_devices_than_an_order_holds_are_refused_with_what_to_do(commander, simulator):
    letters = str.maketrans("0123456789", "abcdefghij")
    simulator.state.devices = [
        samples.device(f"d-{n:016}".translate(letters), f"laptop-{n:08}") for n in range(5000)
    ]
    done = commander("run", "laptop-*", "--", "x")
    assert (done.code, "5,000 devices" in done.err, "fewer at once" in done.err) == (2, True, True)
    assert simulator.requests("SubmitOrder") == []
