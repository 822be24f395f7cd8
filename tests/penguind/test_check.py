"""Which checks are accepted."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from penguind.domain.check import Check, parse_check
from penguind.domain.query import check_query, paths_of, resolve
from penguindome.errors import InvalidInput

NOW = datetime(2026, 3, 2, 12, 0, tzinfo=UTC)

GOOD = """
name: ssh-odd-port
summary: sshd listens on an odd port
severity: low
remedy: |
  Set the port.
  Then reload.
plugin: sshd
applies: {plugins.sshd.status: running}
fails: {plugins.sshd.config.port: {$ne: "22"}}
unknown: {plugins.sshd.config.port: {$exists: false}}
grace: 1h30m
alert_period: 1d
"""


def rule(fails: str) -> str:
    return f"name: a\nsummary: b\nseverity: low\nremedy: c\nfails: {fails}\n"


def test_every_part_is_read():
    check = parse_check(GOOD, origin="a.yaml")
    assert check == Check(
        name="ssh-odd-port",
        summary="sshd listens on an odd port",
        severity="low",
        remedy="Set the port.\nThen reload.",
        plugin="sshd",
        fails={"plugins.sshd.config.port": {"$ne": "22"}},
        applies={"plugins.sshd.status": "running"},
        unknown={"plugins.sshd.config.port": {"$exists": False}},
        grace_period=timedelta(minutes=90),
        alert_period=timedelta(days=1),
        source=GOOD,
        origin="a.yaml",
    )
    assert check.paths() == ("plugins.sshd.config.port", "plugins.sshd.status")


def test_disabled_check_needs_no_more_than_its_name():
    check = parse_check("name: firewall-disabled\nenabled: false\n")
    assert (check.name, check.enabled) == ("firewall-disabled", False)


def test_times_are_dates_or_reach_back_from_now():
    query = check_query(
        {
            "report.received_time": {
                "$lt": {"$ago": "8h"},
                "$gt": {"$date": "2026-01-01T00:00:00Z"},
            },
            "device.enrolled_time": {"$gte": datetime(2026, 1, 2, tzinfo=UTC).date()},
        }
    )
    assert resolve(query, NOW) == {
        "report.received_time": {
            "$lt": NOW - timedelta(hours=8),
            "$gt": datetime(2026, 1, 1, tzinfo=UTC),
        },
        "device.enrolled_time": {"$gte": datetime(2026, 1, 2, tzinfo=UTC)},
    }
    assert list(paths_of(query)) == ["report.received_time", "device.enrolled_time"]


@pytest.mark.parametrize(
    "fails",
    [
        "{plugins.a: 1}",
        "{plugins.a: null}",
        "{plugins.a.b: [1, 2]}",
        "{plugins.a.b: {c: 1}}",
        "{plugins.a: {$in: [1, x, null]}}",
        "{plugins.a: {$not: {$gt: 3}}}",
        "{plugins.a: {$regex: '^x+$', $options: i}}",
        "{plugins.a: {$elemMatch: {b: false, $or: [{c: 1}, {d: 2}]}}}",
        "{plugins.a: {$elemMatch: {$gt: 3, $lt: 5}}}",
        "{$nor: [{plugins.a: {$type: [bool, string]}}, {plugins.a: {$size: 0}}]}",
        "{outputs: {$elemMatch: {name: x, status: error}}, outputs.0.status: ok}",
        "{device.labels: eng, device.clock_skew_ms: {$mod: [2, 0]}}",
        "{plugins.a: {$all: [1, 2]}, report.boot_id: x}",
    ],
)
def test_query_is_accepted(fails):
    assert parse_check(rule(fails)).fails


@pytest.mark.parametrize(
    ("fails", "reason"),
    [
        ("{}", "not empty"),
        ("[]", "mapping"),
        ("null", "mapping"),
        ("{$where: 'true'}", "where"),
        ("{$expr: {$eq: [1, 1]}}", "expr"),
        ("{$text: {$search: x}}", "text"),
        ("{$jsonSchema: {}}", "jsonSchema"),
        ("{$comment: x}", "comment"),
        ("{$or: []}", "not empty"),
        ("{$or: {plugins.a: 1}}", "list"),
        ("{$and: [{$where: x}]}", "where"),
        ("{plugins.a: {$where: x}}", "where"),
        ("{plugins.a: {$function: x}}", "function"),
        ("{plugins.a: {$elemMatch: {$where: x}}}", "where"),
        ("{plugins.a: {$elemMatch: {b: {$expr: x}}}}", "expr"),
        ("{plugins.a: {$not: {$where: x}}}", "where"),
        ("{plugins.a: {$not: 3}}", "operators"),
        ("{plugins.a: {$eq: {$where: x}}}", "where"),
        ("{plugins.a: {$in: [{$where: x}]}}", "where"),
        ("{plugins.a: {b: {$where: x}}}", "where"),
        ("{plugins.a: {$gt: 1, b: 2}}", "not allowed"),
        ("{plugins.a: {$options: i}}", "options"),
        ("{plugins.a: {$regex: 3}}", "text"),
        ("{plugins.a: {$regex: a, $options: g}}", "letters"),
        ("{plugins.a: {$size: -1}}", "whole number"),
        ("{plugins.a: {$size: true}}", "whole number"),
        ("{plugins.a: {$mod: [0, 1]}}", "zero"),
        ("{plugins.a: {$exists: 1}}", "true or false"),
        ("{plugins.a: {$type: minKey}}", "type"),
        ("{plugins.a: {$lt: {$ago: soon}}}", "duration"),
        ("{plugins.a: {$lt: {$ago: 99999d}}}", "d"),
        ("{plugins.a: {$eq: {$ago: 1h}}}", "ago"),
        ("{plugins.a: {$lt: {$date: yesterday}}}", "time"),
        ("{plugins.a: 99999999999999999999}", "64 bits"),
        ("{plugins.a: .nan}", "finite"),
        ("{secrets.a: 1}", "starts with"),
        ("{plugins: 1}", "no plugin"),
        ("{_id: 1}", "starts with"),
        ("{plugins..a: 1}", "empty part"),
        ("{plugins.$x: 1}", "empty part"),
        ("{device.spki: x}", "no field"),
        ("{device: {}}", "stops at"),
        ("{report.state_hash: x}", "no field"),
        ("{outputs.0.hash: x}", "no field"),
        ('{"plugins.a\\0": 1}', "control"),
    ],
)
def test_query_is_refused(fails, reason):
    with pytest.raises(InvalidInput) as caught:
        parse_check(rule(fails))
    assert reason in caught.value.text()


def test_size_of_queries_is_bounded():
    deep = "{$and: [" * 6 + "{plugins.a: 1}" + "]}" * 6
    many = "{$or: [" + ",".join(["{plugins.a: 1}"] * 100) + "]}"
    long = "{plugins.a: {$in: [" + ",".join("1" * 1001) + "]}}"
    for fails, reason in ((deep, "levels"), (many, "nodes"), (long, "1000")):
        with pytest.raises(InvalidInput, match=reason):
            parse_check(rule(fails))
    assert parse_check(rule("{plugins.a: {$in: [" + ",".join("1" * 1000) + "]}}"))


@pytest.mark.parametrize(
    "pattern",
    [
        "(a+)+", "(a*|b)*$", "((a)+)+", r"\p{Lu}", r"\x{e9}", r"\u00e9", r"[\d-x]", "a{,3}",
        r"(a)\1", "(?R)", "(?#x)a", "(*UTF)a", "(?<name>a)", "[[:alpha:]]", "[a&&b]", "[]a]",
        r"\Qa\E", "(", "[", "a{999999999999}", "x" * 513, "a\0b", r"\K", "*", "\ud800",
    ],
)  # fmt: skip
def test_pattern_is_refused(pattern):
    with pytest.raises(InvalidInput):
        check_query({"plugins.a": {"$regex": pattern}})


@pytest.mark.parametrize(
    "pattern",
    [r"^linux-\d+\.\d+$", "(?:ab+)?c", "(?i)debian", "[^a-z0-9_-]+", r"\[x\]", "(a|b)+", r"[\]a]"],
)
def test_pattern_is_accepted(pattern):
    assert check_query({"plugins.a": {"$regex": pattern}})


@pytest.mark.parametrize(
    ("source", "reason"),
    [
        ("- a", "mapping"),
        ("name: A", "name"),
        (GOOD.replace("severity: low", "severity: bad"), "severity"),
        (GOOD.replace("summary:", "sumary:"), "did you mean summary"),
        (GOOD.replace("grace: 1h30m", "grace: soon"), "soon"),
        (GOOD.replace("grace: 1h30m", "grace: 400d"), "366"),
        (GOOD.replace("grace: 1h30m", "grace: true"), "duration"),
        (GOOD.replace("plugin: sshd", "plugin: ../x"), "plugin"),
        (GOOD + "name: twice\n", "twice"),
        (GOOD + "enabled: maybe\n", "true or false"),
        (GOOD + "opened_by: server\n", "without"),
        ("name: a\nsummary: b\nseverity: low\nremedy: c\n", "fails is missing"),
        ('name: a\nsummary: "b\\e[2J"\nseverity: low\nremedy: c\n', "control"),
        ("a: &x 1\nb: *x", "anchors"),
        ("a: !!python/object/apply:os.system [x]", "tags"),
        ("a: !!binary x", "tags"),
        ("1: x", "must be text"),
        ("? [a]\n: b", "must be text"),
        ("a: {", "not YAML"),
        ("name: a\n---\nname: b", "not YAML"),
        ("a: 2001-99-99", "number or a time"),
        ("[" * 5000, "levels"),
        ("x" * 70_000, "65536"),
    ],
)
def test_document_is_refused(source, reason):
    with pytest.raises(InvalidInput) as caught:
        parse_check(source)
    assert reason in str(caught.value)


def test_only_the_existence_of_sealed_values_can_be_asked():
    sealed = {"plugins.geolocation.location"}
    assert check_query({"plugins.geolocation.location": {"$exists": True}}, sealed=sealed)
    assert check_query({"plugins.geolocation.accuracy": 1}, sealed=sealed)
    for query in (
        {"plugins.geolocation.location": {"$gt": 1}},
        {"plugins.geolocation.location.lat": 1},
        {"plugins.geolocation": {"$ne": None}},
        {"$or": [{"plugins.geolocation.location.lat": {"$exists": True, "$gt": 1}}]},
        {"plugins.geolocation": {"$elemMatch": {"location": 1}}},
    ):
        with pytest.raises(InvalidInput, match="sealed"):
            check_query(query, sealed=sealed)
