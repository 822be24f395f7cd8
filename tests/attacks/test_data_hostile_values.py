"""Hostile values in reports and names: stored as they are or refused, and nobody else notices."""

import json

import pytest
from bson.codec_options import CodecOptions
from bson.raw_bson import RawBSONDocument

from penguindome.errors import InvalidInput
from tests.attacks.kit.evil_agent import EvilAgent
from tests.attacks.kit.evil_reports import EvilReports
from tests.attacks.kit.wire import refusal
from tests.harness.reporter import output

pytestmark = pytest.mark.timeout(180)

RAW = CodecOptions(document_class=RawBSONDocument)
STORED = {
    "operators": {"$where": "sleep(9e9)", "$ne": 1, "x": {"$gt": ""}, "$set": {"state": "active"}},
    "dots": {"a.b": 1, "a": {"b": 2}, ".": 4, "..": 5, "device.state": "active"},
    "escaped already": {"a%2Eb": 1, "a.b": 2, "%24x": 3, "$x": 4, "%": 5, "%25": 6},
    "reference": {"$ref": "devices", "$id": "x", "$db": "admin"},
    "extended JSON": {"$date": "2026-01-01T00:00:00Z", "$oid": "0" * 24, "$regex": "(a+)+$"},
    "words of ours": {"_id": 1, "__proto__": 2, "plugins": 3, "outputs": [], "state": "revoked"},
    "NUL in a value": {"a": "x\x00y"},
    "positions": {"0": {"0": 1}, "list": [{"0": 1}, [], [[]]], "$[]": 1, "$": 2},
}
REFUSED = {
    "NaN": b"NaN",
    "infinity": b'{"a": -Infinity}',
    "1e999": b'{"a": 1e999}',
    "key twice": b'{"a": 1, "a": 2}',
    "NUL in a key": b'{"a\\u0000": 1}',
    "empty key": b'{"": 1}',
    "long key": b'{"' + b"k" * 256 + b'": 1}',
    "long text": b'"' + b"x" * (257 << 10) + b'"',
    "depth": b"[" * 100_000 + b"]" * 100_000,
    "depth of 33": b"[" * 33 + b"]" * 33,
    "half a depth": b'{"a":' * 50_000,
    "many keys": json.dumps({f"k{n}": n for n in range(100_000)}, separators=(",", ":")).encode(),
    "UTF-16": '{"a": 1}'.encode("utf-16"),
    "UTF-8 with a mark": b'\xef\xbb\xbf{"a": 1}',
    "UTF-7": b"+ACI-a+ACI-",
    "overlong": b'"\xc0\xae"',
    "no JSON": b"__import__('os').system('id')",
    "two values": b"1 2",
    "nothing": b"",
}
# What our agent would have cleaned by itself; here nobody did.
CLEANED = {
    "lone surrogate": (b'{"a": "\\ud800"}', {"a": "\ufffd"}),
    "70 bits": (b'{"a": 1180591620717411303424}', {"a": {"$int": "1180591620717411303424"}}),
    # Python itself refuses to read more than 4300.
    "5000 digits": (b"[" + b"9" * 5000 + b"]", [{"$int": "9" * 5000}]),
}
NAMES = ["$where", "a.b", "", "../x", "x/y", "x\x00", "x\n", "é", "x" * 65, "-x", ".", "__class__ "]


@pytest.fixture(scope="module")
def snapshot(database):
    """Return a function that returns a device's documents, byte for byte."""

    def taken(device_id):
        found = {}
        for name in ("devices", "states", "trail", "issues"):
            field = "device_id" if name in {"trail", "issues"} else "_id"
            collection = database.records[name].with_options(codec_options=RAW)
            documents = collection.find({field: device_id}).sort("_id", 1)
            found[name] = [document.raw for document in documents]
        return found

    return taken


@pytest.fixture
def reports(fleet, wire, token, device, snapshot):
    neighbour = EvilAgent(wire)
    neighbour.enroll(token, hostname="neighbour")
    honest = EvilReports(neighbour)
    honest.says(firewall={"status": "on"}, os_info={"name": "x"})
    honest.says(firewall={"status": "off"})
    fleet.alice.run("issue", "audit")
    before = snapshot(neighbour.device_id)
    assert all(before.values()), "there is nothing that could have been hurt"
    made = EvilReports(device)
    made.says(honest={"value": 1})
    yield made
    fleet.alice.run("issue", "audit", device.device_id)
    assert snapshot(neighbour.device_id) == before


def held(fleet, device, name="evil"):
    """Return what an operator sees of one output; None if it is not there."""
    shown = fleet.alice.json("device", "show", device.device_id)
    assert {"value": 1} in [one.get("value") for one in shown["outputs"]], "the honest one is gone"
    found = [one for one in shown["outputs"] if one["name"] == name]
    return found[0]["value"] if found else None


def keys_within(value):
    if isinstance(value, dict):
        for key, item in value.items():
            yield key
            yield from keys_within(item)
    elif isinstance(value, list):
        for item in value:
            yield from keys_within(item)


def test_values_that_look_like_queries_are_stored_as_data(fleet, database, device, reports):
    for value in STORED.values():
        reports.says(evil=value)
        assert held(fleet, device) == value
        state = database.records["states"].find_one({"_id": device.device_id})
        keys = list(keys_within(state["plugins"]))
        assert keys
        assert not [key for key in keys if key.startswith("$") or "." in key]


def test_values_that_no_document_can_hold_are_refused(fleet, device, reports):
    for what, data in REFUSED.items():
        error = refusal(reports.prints, data)
        assert isinstance(error, InvalidInput), (what, error)
    assert held(fleet, device) is None


def test_values_that_json_allows_and_databases_do_not_are_cleaned(fleet, device, reports):
    for data, kept in CLEANED.values():
        reports.prints(data)
        assert held(fleet, device) == kept


def test_hostile_plugin_names_are_refused(fleet, device, reports):
    for name in NAMES:
        error = refusal(reports.hands_in, output(name, 1))
        assert isinstance(error, InvalidInput), name
        error = refusal(reports.hands_in, removed=(name,))
        assert isinstance(error, InvalidInput), name
    assert held(fleet, device) is None


@pytest.mark.parametrize(
    "facts",
    [
        {"report_id": '{"$gt": ""}'},
        {"report_id": ""},
        {"base_hash": b"$where"},
        {"boot_id": "x" * 100_000},
        {"request_id": "x" * 100_000},
        {"following": ("$where",)},
        {"following": tuple(f"n{number}" for number in range(1000)), "full": True},
    ],
)
def test_hostile_facts_of_a_report_are_refused(reports, facts):
    assert isinstance(refusal(reports.hands_in, output("evil", 1), **facts), InvalidInput)


@pytest.mark.parametrize("name", ['{"$ne":1}', "$where", "a.b$c", "../../etc", "x\x1by", "é" * 999])
def test_hostile_hostnames_are_labels_and_nothing_more(fleet, wire, token, database, name):
    agent = EvilAgent(wire)
    agent.enroll(token, hostname=name)
    kept = database.records["devices"].find_one({"_id": agent.device_id})["hostname"]
    assert kept.isprintable()
    assert len(kept) <= 253
    listed = fleet.alice.json("device", "list")["devices"]
    assert [one["device_id"] for one in listed if one["hostname"] == kept] == [agent.device_id]
    # As a term it selects nothing, least of all everybody.
    done = fleet.alice.try_run("device", "list", name, "-o", "json")
    assert done.returncode in {2, 3}, done.stdout
