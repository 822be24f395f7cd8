"""penguinctl overview, and server status --history."""

from __future__ import annotations

import csv
import io
import json
import re
import stat

import pytest
from hypothesis import given
from hypothesis import strategies as st

from penguinctl import blocks
from tests.penguinctl import sample_overview

SGR = re.compile(r"\x1b\[[0-9;?]*[a-zA-Z]")


@pytest.fixture
def large(simulator):
    simulator.state.overview = sample_overview.large()
    simulator.state.history = sample_overview.samples(days=2)


@given(st.lists(st.integers(0, 5000), min_size=1, max_size=3), st.integers(3, 40))
def test_shares_fill_a_bar_and_forget_nobody(parts, length):
    given_shares = blocks.shares(parts, length)
    assert sum(given_shares) == (length if sum(parts) else 0)
    for part, share in zip(parts, given_shares, strict=True):
        assert bool(share) == bool(part)


@given(st.lists(st.integers(0, 10_000), max_size=300), st.integers(1, 60))
def test_a_sparkline_is_as_long_as_there_is_room_and_data(values, width):
    assert len(blocks.sparkline(values, width)) == min(width, len(values))


@pytest.mark.usefixtures("large")
def test_the_fleet_fits_eighty_columns(operator):
    shown = operator.terminal("overview", columns=80).out
    lines = SGR.sub("", shown).splitlines()
    assert max(map(len, lines)) <= 80
    text = "\n".join(lines)
    assert "377 active, 263 connected" in text
    (firewall,) = [line for line in lines if line.startswith("firewall-disabled")]
    assert firewall.split()[-3:] == ["31", "326", "7"]
    assert "█" in firewall
    assert "and 140 more" in text
    assert "Open issues" in text


@pytest.mark.usefixtures("large")
@pytest.mark.parametrize("more", [{"TERM": "dumb"}, {"PYTHONIOENCODING": "ascii:strict"}])
def test_a_simple_terminal_gets_simple_characters(operator, more):
    shown = operator("overview", **more).out
    assert "#" in shown
    assert shown.isascii()


def test_words_of_devices_are_harmless(simulator, operator):
    simulator.state.overview = sample_overview.hostile()
    for words in ((), ("-o", "json"), ("-o", "csv"), ("-o", "yaml")):
        shown = operator("overview", *words).out
        assert "\u202e" not in shown
        assert "\x1b" not in shown


@pytest.mark.usefixtures("large")
def test_programs_get_everything(simulator, operator):
    value = json.loads(operator("overview", "label:sales", "--days", "9", "-o", "json").out)
    request = simulator.requests("GetOverview")[-1]
    assert (list(request.selectors), request.days) == (["label:sales"], 9)
    assert (value["devices"], len(value["checks"]), len(value["silent"])) == (377, 9, 14)
    assert value["trend"][0]["open_issues"]["high"] > 100


@pytest.mark.usefixtures("large")
def test_the_page_is_written_for_its_owner_alone(operator, home):
    path = home / "fleet.html"
    result = operator("overview", "--html", str(path))
    assert (result.code, result.out) == (0, "")
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert "Posture by check" in path.read_text()
    result = operator("overview", "--html", str(home / "missing/fleet.html"))
    assert result.code == 3
    assert "missing" in result.err


@pytest.mark.usefixtures("large")
def test_history_is_a_list_like_others(operator):
    text = operator("server", "status", "--history").out
    assert text.splitlines()[0].split()[:3] == ["TIME", "CONNECTED", "REPORTING"]
    words = ("--history", "--since", "2d", "--columns", "time,connected_devices", "-o", "csv")
    rows = list(csv.reader(io.StringIO(operator("server", "status", *words).out)))
    assert (rows[0], len(rows)) == (["time", "connected_devices"], 13)
    assert operator("server", "status", "--columns", "time").code == 2
    assert operator("server", "status", "--since", "2d").code == 2


def test_a_young_server_has_no_history(simulator, operator):
    simulator.state.history = []
    result = operator("server", "status", "--history")
    assert (result.code, "No samples" in result.out) == (0, True)
