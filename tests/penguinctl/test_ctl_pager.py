"""Long tables are paged, for people only; colour heeds what terminals and people say."""

import os
import stat

import pytest

from tests.penguinctl import samples


@pytest.fixture
def pager(home):
    """A pager that marks what went through it."""
    path = home / "my pager"
    path.write_text('#!/bin/sh\necho "PAGED $1 $LESS"\ncat\n')
    path.chmod(path.stat().st_mode | stat.S_IXUSR)
    return f"'{path}' --fast"


@pytest.fixture
def many(simulator, operator):
    simulator.state.devices = [samples.device(f"d-{n:016}", f"host-{n}") for n in range(60)]
    return operator


def test_a_long_table_goes_through_the_pager(many, pager):
    result = many.terminal("device", "list", PAGER=pager)
    assert "PAGED --fast FRX" in result.out
    assert "host-59" in result.out
    # A person's own options for less stay, and penguinctl's own variable counts first.
    result = many.terminal("device", "list", PAGER="false", PENGUINCTL_PAGER=pager, LESS="S")
    assert "PAGED --fast S" in result.out


def test_what_fits_is_not_paged(many, simulator, pager):
    del simulator.state.devices[5:]
    assert "PAGED" not in many.terminal("device", "list", PAGER=pager).out


@pytest.mark.parametrize(
    ("words", "changes"),
    [
        (["--no-pager", "device", "list"], {}),
        (["device", "list"], {"PENGUINCTL_PAGER": "cat"}),
        (["device", "list"], {"PENGUINCTL_PAGER": ""}),
        (["device", "list"], {"TERM": "dumb"}),
        (["device", "list", "-o", "json"], {}),
        (["device", "list", "-o", "ndjson"], {}),
    ],
)
def test_it_is_switched_off(many, pager, words, changes):
    result = many.terminal(*words, **({"PAGER": pager} | changes))
    assert "PAGED" not in result.out
    assert "host-59" in result.out


def test_programs_get_no_pager(many, pager):
    assert "PAGED" not in many("device", "list", PAGER=pager).out


def test_a_pager_that_does_not_exist_is_told_and_done_without(many):
    result = many.terminal("device", "list", PAGER="/nonexistent/pager")
    assert "cannot be started" in result.out
    assert "host-59" in result.out
    assert "host-59" in many.terminal("device", "list", PAGER="'unbalanced").out


def test_a_pager_that_ends_early_is_no_failure(many):
    simulated = many.terminal("device", "list", PAGER="true")
    assert (simulated.code, "Traceback" in simulated.out) == (0, False)


def test_less_is_what_there_is_without_a_wish(many):
    with many.session("device", "list", lines=20, PATH=os.environ["PATH"]) as screen:
        screen.wait_for("host-10")
        assert "host-59" not in screen.seen
        screen.type("q")
        assert screen.ended() == 0


@pytest.mark.parametrize(
    ("changes", "coloured"),
    [
        ({}, True),
        ({"NO_COLOR": "1"}, False),
        ({"NO_COLOR": ""}, True),
        ({"TERM": "dumb"}, False),
        ({"TERM": "dumb", "CLICOLOR_FORCE": "1"}, True),
        ({"NO_COLOR": "1", "CLICOLOR_FORCE": "1"}, False),
    ],
)
def test_colour_at_a_terminal(simulator, operator, changes, coloured):
    samples.fill(simulator.state)
    assert ("\x1b[" in operator.terminal("device", "list", **changes).out) == coloured


@pytest.mark.parametrize(("force", "coloured"), [("1", True), ("0", False), ("", False)])
def test_colour_elsewhere_only_by_force(simulator, operator, force, coloured):
    samples.fill(simulator.state)
    assert ("\x1b[" in operator("device", "list", CLICOLOR_FORCE=force).out) == coloured
    assert "\x1b[" not in operator("device", "list", "-o", "csv", CLICOLOR_FORCE=force).out
