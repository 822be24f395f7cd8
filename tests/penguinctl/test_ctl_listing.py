"""Columns and order of lists, in every format."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from penguinctl import listing
from tests.penguinctl import samples
from tests.penguinctl.test_ctl_formats import read

ROWS = st.lists(
    st.fixed_dictionaries(
        {
            "name": st.text(max_size=3),
            "count": st.none() | st.integers() | st.floats(allow_nan=False),
            "severity": st.sampled_from(["low", "medium", "high", "critical", ""]),
            "labels": st.lists(st.text(max_size=2), max_size=2),
        }
    ),
    max_size=8,
)
ORDER = st.lists(
    st.sampled_from(["name", "-name", "count", "-count", "severity", "-severity", "labels.0"]),
    min_size=1,
    max_size=3,
)


@pytest.fixture
def filled(simulator, operator):
    samples.fill(simulator.state)
    return operator


def column(result, place=0):
    return [line.split("  ")[place].strip() for line in result.out.splitlines()[1:]]


@given(ROWS, ORDER)
def test_sorting_keeps_every_row_and_is_stable(rows, names):
    numbered = list(enumerate(rows))
    result = listing.ordered(numbered, lambda pair: pair[1], names)
    assert sorted(number for number, _ in result) == list(range(len(rows)))
    again = listing.ordered(result, lambda pair: pair[1], names)
    assert again == result


@given(ROWS, st.sampled_from(["count", "-count"]))
def test_rows_without_the_field_come_last_either_way(rows, name):
    counts = [row["count"] for row in listing.ordered(rows, lambda row: row, [name])]
    there = [count for count in counts if count is not None]
    assert counts == there + [None] * (len(counts) - len(there))
    assert there == sorted(there, reverse=name[0] == "-")


def test_severities_have_their_own_order():
    rows = [{"severity": word} for word in ("high", "low", "critical", "medium")]
    worst = listing.ordered(rows, lambda row: row, ["-severity"])
    assert [row["severity"] for row in worst] == ["critical", "high", "medium", "low"]


def test_columns_of_a_table(filled):
    result = filled("device", "list", "--columns", "hostname,labels,connected,clock_skew_ms")
    lines = [line.split() for line in result.out.splitlines()]
    assert lines[0] == ["HOSTNAME", "LABELS", "CONNECTED", "CLOCK_SKEW_MS"]
    assert lines[1] == ["db-1", "-", "no", "-1500"]
    assert ["web-1", "sales", "yes", "-1500"] in lines


def test_columns_in_formats_for_programs(filled):
    words = ("device", "list", "web-1", "--columns", "labels.0,hostname,labels.9")
    wanted = {"labels.0": "sales", "hostname": "web-1", "labels.9": None}
    (row,) = json.loads(filled(*words, "-o", "json").out)["devices"]
    assert (row, list(row)) == (wanted, list(wanted))
    assert json.loads(filled(*words, "-o", "ndjson").out) == wanted
    assert read(filled(*words, "-o", "csv").out) == [list(wanted), ["sales", "web-1", ""]]


def test_deeper_fields_are_found(filled):
    words = ("issue", "list", "--columns", "name,evidence.firewall.active", "-o", "json")
    (row,) = json.loads(filled(*words).out)["issues"]
    assert row == {"name": "firewall-disabled", "evidence.firewall.active": False}


@pytest.mark.parametrize("output_format", ["table", "json", "csv", "ndjson", "yaml"])
def test_order_counts_in_every_format(filled, output_format):
    words = ("device", "list", "--state", "active", "--sort", "-hostname,device_id")
    out = filled(*words, "-o", output_format).out
    places = [out.index(one) for one in (samples.WEB, samples.TWIN_1, samples.TWIN_2, samples.DB)]
    assert places == sorted(places)


@pytest.mark.parametrize("option", ["--columns", "--sort"])
def test_a_wrong_name_is_told_with_the_right_ones(filled, option):
    result = filled("device", "list", option, "hostnam,labels")
    assert result.code == 2
    assert "no field 'hostnam'. Did you mean 'hostname'? There are: device_id" in result.err
    assert filled("device", "list", "nobody", option, "hostnam").code == 2
    assert filled("device", "list", option, "hostname.x").code == 2
    assert filled("device", "list", option, "hostname,,labels").code == 2


def test_what_stands_beside_a_list_stays(filled):
    value = json.loads(filled("check", "list", "--columns", "name", "-o", "json").out)
    assert value == {
        "checks": [{"name": "firewall-disabled"}],
        "problems": [{"origin": "bad.yaml", "reason": "unknown key spells"}],
    }
    assert "Not loaded: bad.yaml" in filled("check", "list", "-o", "csv").err


def test_every_list_takes_them(filled):
    nouns = ("token", "issue", "check", "ledger", "profile")
    lists = [*((noun, "list") for noun in nouns), ("trail",), ("device", "history", samples.WEB)]
    for words in lists:
        first = json.loads(filled(*words, "-o", "ndjson").out.splitlines()[0])
        name = next(iter(first))
        result = filled(*words, "--columns", name, "--sort", f"-{name}", "-o", "ndjson")
        assert json.loads(result.out.splitlines()[0]).keys() == {name}, words
