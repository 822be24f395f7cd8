"""Tables, JSON, colour and times."""

import contextlib
import json
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from penguinctl import formats, moments, output, ui
from penguinctl.output import Column
from penguindome.errors import InvalidInput
from tests.penguinctl import samples

NOW = datetime(2026, 11, 25, 12, tzinfo=UTC)


def test_table_aligns_wide_characters(capsys):
    output.table([Column("A"), Column("B")], [("日本", "x"), ("abcdef", "y")])
    lines = capsys.readouterr().out.splitlines()
    assert lines == ["A       B", "日本    x", "abcdef  y"]


@given(st.lists(st.integers(1, 60), min_size=3, max_size=3), st.integers(20, 120))
def test_fitted_cuts_only_what_may_shrink(widths, limit):
    columns = [Column("A"), Column("B", shrinks=True), Column("C", shrinks=True)]
    result = output.fitted(columns, widths, limit)
    assert result[0] == widths[0]
    assert all(new <= old for new, old in zip(result, widths, strict=True))
    fits = sum(result) + 4 <= limit
    assert fits or all(width <= 8 for width in result[1:])


@given(st.text(), st.integers(1, 20))
def test_cut_text_is_never_wider_than_its_column(text, limit):
    assert output.width(output.cut(text, limit)) <= limit


def test_table_on_a_terminal_does_not_wrap(simulator, operator):
    samples.fill(simulator.state)
    simulator.state.devices[4].os_name = "x" * 300
    result = operator.terminal("device", "list", columns=150, NO_COLOR="1")
    assert max(map(len, result.out.splitlines())) <= 150
    assert "…" in result.out
    assert samples.WEB in result.out
    assert "x" * 300 in operator("device", "list").out


def test_colour_is_for_people_at_terminals_only(simulator, operator):
    samples.fill(simulator.state)
    assert "\x1b[" in operator.terminal("device", "list").out
    assert "\x1b[" not in operator.terminal("device", "list", NO_COLOR="1").out
    assert "\x1b[" not in operator("device", "list", TERM="xterm").out
    assert "\x1b[" not in operator.terminal("device", "list", "-o", "json").out


def test_json_is_ascii(capsys):
    formats.emit_json({"name": "é\x7f\u202e\x9b日"})
    text = capsys.readouterr().out
    assert text.isascii()
    assert json.loads(text)["name"] == "é\x7f\u202e\x9b日"


@pytest.mark.parametrize("data", [b"{", b"NaN", b"[" * 100_000, b"\xff\x1b"])
def test_what_is_no_json_stays_text(data):
    assert isinstance(output.loaded(data), str)


def test_sink_escapes_what_nobody_escaped(capsys):
    ui.out("a\x1b[31m", ui.Styled("b\x9b", "red"))
    assert capsys.readouterr().out == "a\\x1b[31mb\\x9b\n"


@pytest.mark.parametrize(
    ("span", "text"),
    [
        (timedelta(0), "now"),
        (timedelta(seconds=59), "59 s ago"),
        (timedelta(minutes=3), "3 min ago"),
        (timedelta(hours=3, minutes=59), "3 h ago"),
        (timedelta(days=400), "400 d ago"),
        (timedelta(days=-2), "in 2 d"),
    ],
)
def test_relative(span, text):
    assert moments.relative(NOW - span, NOW) == text


@given(st.integers(-(2**63), 2**63 - 1))
def test_any_number_is_some_text(number):
    assert moments.local(number, NOW)
    assert moments.short(number, NOW)
    moments.iso(number)


@given(st.text(max_size=30))
def test_since_reads_or_refuses(text):
    with contextlib.suppress(InvalidInput):
        assert moments.since(text, NOW).tzinfo is not None


def test_since():
    assert moments.since("90m", NOW) == NOW - timedelta(minutes=90)
    assert moments.since("2026-11-25T10:00+02:00", NOW) == datetime(2026, 11, 25, 8, tzinfo=UTC)
