"""YAML, CSV and JSON a line say what JSON says, and harm nobody who opens them."""

import csv
import io
import json
import re

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from penguinctl import formats
from penguindome.v1 import device_pb2
from tests.penguinctl import samples
from tests.penguinctl.hostile_text import TEXT
from tests.penguinctl.test_ctl_hostile import COMMANDS, dangerous

FORMULAS = ("=", "+", "-", "@", "\t", "\r", "\n", "\uff1d", "\uff0b", "\uff0d", "\uff20")
NUMBER = re.compile(r"-?[0-9]+")
PAYLOADS = (
    "=cmd|' /C calc'!A0",
    "+1+cmd|' /C calc'!A0",
    "-2+3+cmd|' /C calc'!A0",
    "@SUM(1+1)*cmd|' /C calc'!A0",
    "\t=1+1",
    "\r\nSubject: forged\r\n\r\n=1+1",
    '","=1+1","',
    "\u200b=1+1",
)
JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**63), 2**63) | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=8,
)


def read(text):
    return list(csv.reader(io.StringIO(text, newline="")))


@given(rows=st.lists(st.lists(JSON, min_size=2, max_size=2), max_size=4))
def test_cells_are_read_back_as_they_were_written(rows):
    written = [[formats.cell(value) for value in row] for row in rows]
    buffer = io.StringIO(newline="")
    writer = csv.writer(buffer, lineterminator="\r\n")
    writer.writerows(written)
    assert read(buffer.getvalue()) == written
    assert all("\r" not in cell and "\n" not in cell for row in written for cell in row)


@given(st.text() | st.sampled_from(PAYLOADS))
def test_no_text_begins_a_formula(text):
    cell = formats.cell(text)
    assert not cell.startswith(FORMULAS)
    assert dangerous(cell) == set()
    if text.startswith(FORMULAS):
        assert cell.startswith("'")


@given(st.integers() | st.floats(allow_nan=False, allow_infinity=False))
def test_numbers_stay_numbers(number):
    assert json.loads(formats.cell(number)) == number


@given(JSON)
def test_nested_values_are_json(value):
    if isinstance(value, list | dict):
        assert json.loads(formats.cell(value)) == value


@given(JSON)
def test_yaml_is_read_back(value):
    text = formats.yaml_text(value)
    assert text.isascii()
    assert dangerous(text) == set()
    assert yaml.safe_load(text) == value


@pytest.mark.parametrize("list_name", ["devices", "issues", "tokens", "checks", "rows", "entries"])
def test_all_formats_hold_the_same_list(simulator, operator, list_name):
    words = {
        "devices": ["device", "list"],
        "issues": ["issue", "list", "--closed"],
        "tokens": ["token", "list"],
        "checks": ["check", "list"],
        "rows": ["ledger", "list"],
        "entries": ["trail"],
    }[list_name]
    samples.fill(simulator.state)
    whole = json.loads(operator(*words, "-o", "json").out)
    assert yaml.safe_load(operator(*words, "-o", "yaml").out) == whole
    rows = whole[list_name]
    lines = operator(*words, "-o", "ndjson").out.splitlines()
    assert [json.loads(line) for line in lines] == rows
    table = operator(*words, "-o", "csv").out
    header, *records = read(table)
    assert header == list(rows[0])
    assert records == [[formats.cell(row[name]) for name in header] for row in rows]
    assert len(records) >= 1


def test_csv_ends_its_lines_as_the_rfc_says(simulator, operator):
    samples.fill(simulator.state)
    done = operator.bytes("device", "list", "-o", "csv")
    assert done.count(b"\r\n") == done.count(b"\n") == 6


@pytest.mark.parametrize("output_format", ["csv", "ndjson"])
def test_an_empty_list_has_a_header_only(simulator, operator, output_format):
    result = operator("device", "list", "-o", output_format)
    assert result.code == 0
    assert result.out.startswith("device_id,hostname,") == (output_format == "csv")
    assert len(result.out.splitlines()) == (output_format == "csv")
    assert "No matching devices." in result.err


def test_one_object_is_one_record(simulator, operator):
    samples.fill(simulator.state)
    header, record = read(operator("device", "show", "web-1", "-o", "csv").out)
    found = dict(zip(header, record, strict=True))
    assert found["device.hostname"] == "web-1"
    assert json.loads(found["device.labels"]) == ["sales"]
    assert [one["name"] for one in json.loads(found["outputs"])] == ["firewall", "zeta"]
    (line,) = operator("device", "show", "web-1", "-o", "ndjson").out.splitlines()
    assert json.loads(line) == json.loads(operator("device", "show", "web-1", "-o", "json").out)


@pytest.mark.parametrize("payload", PAYLOADS)
def test_a_device_puts_no_formula_into_a_spreadsheet(simulator, operator, payload):
    samples.fill(simulator.state)
    for one in simulator.state.devices:
        one.hostname = one.os_name = payload
        one.labels[:] = [payload]
    simulator.state.outputs = [
        device_pb2.DeviceOutput(name=payload, status="ok", json=json.dumps(payload).encode())
    ]
    for words in (["list"], ["list", "--columns", "hostname,labels.0"], ["show", samples.WEB]):
        text = operator.bytes("device", *words, "-o", "csv").decode()
        records = read(text)
        texts = [cell for row in records for cell in row if not NUMBER.fullmatch(cell)]
        assert [cell for cell in texts if cell.startswith(FORMULAS)] == []
        assert len(records) == len(text.split("\r\n")) - 1
        assert len({len(row) for row in records}) == 1
        assert payload.strip("\t\r\n\u200b")[:4] in text.replace('""', '"')


@pytest.mark.parametrize("name", [name for name in COMMANDS if name != "init"])
@pytest.mark.parametrize("output_format", ["yaml", "csv", "ndjson"])
def test_hostile_text_is_escaped_in_every_format(simulator, operator, name, output_format):
    samples.fill(simulator.state)
    (operator.home / "check.yaml").write_text("name: x\n")
    simulator.hostile = True
    # What the command needs to find its device stays as it is.
    simulator.spared = ("kind", "device_id", "state", "key_fingerprint", "advertised_host")
    words = [word.format(home=operator.home) for word in COMMANDS[name]]
    out = operator.terminal(*words, "-o", output_format, columns=200, NO_COLOR="1").out
    assert dangerous(out.replace("\r\n", "\n")) == set()
    assert TEXT not in out
