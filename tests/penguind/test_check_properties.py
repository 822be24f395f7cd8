"""The validator of checks against everything that can be typed."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime
from typing import Any

import yaml
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from penguind.domain.check import parse_check
from penguind.domain.query import check_query, resolve
from penguindome.errors import InvalidInput
from tests.harness.database import fresh_database

NOW = datetime(2026, 3, 2, 12, 0, tzinfo=UTC)
OPERATORS = [
    "$and", "$or", "$nor", "$not", "$eq", "$ne", "$gt", "$gte", "$lt", "$lte", "$in", "$nin",
    "$exists", "$type", "$size", "$all", "$elemMatch", "$mod", "$regex", "$options", "$ago",
    "$date",
]  # fmt: skip
FORBIDDEN = [
    "$where", "$expr", "$function", "$jsonSchema", "$text", "$accumulator", "$comment", "$near",
    "$geoWithin", "$rand", "$sampleRate", "$bitsAllSet", "$", "$ref", "$id",
]  # fmt: skip
PATHS = ["plugins.a", "plugins.a.b.0", "outputs", "outputs.status", "report.boot_id",
         "device.labels", "a", "b.c", "_id", "plugins", ""]  # fmt: skip
WORDS = ["yes", "8h", "2026-01-01T00:00:00Z", "bool", "i", "^a+$", "(a+)+", "\x00", "\ud800"]

scalars = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(-5, 5),
    st.sampled_from([2**63, -(2**63), 2**63 - 1]),
    st.floats(),
    st.sampled_from(WORDS),
    st.text(max_size=8),
    st.dates(),
    st.datetimes(),
)
keys = st.one_of(
    st.sampled_from(PATHS),
    st.sampled_from(OPERATORS),
    st.sampled_from(FORBIDDEN),
    st.text(max_size=6),
    st.integers(0, 3),
)
documents = st.recursive(
    scalars,
    lambda inner: st.one_of(st.lists(inner, max_size=4), st.dictionaries(keys, inner, max_size=4)),
    max_leaves=20,
)
conditions = st.recursive(
    scalars,
    lambda inner: st.one_of(
        st.lists(inner, max_size=3),
        st.dictionaries(st.sampled_from([*OPERATORS, "b.c", "c"]), inner, min_size=1, max_size=2),
    ),
    max_leaves=8,
)
likely = st.dictionaries(
    st.sampled_from(["plugins.a", "plugins.a.b.0", "outputs", "device.labels", "$or"]),
    conditions,
    min_size=1,
    max_size=3,
)


def words(value: Any) -> set[str]:
    """Return all keys with a dollar sign."""
    if isinstance(value, list):
        return set().union(*map(words, value)) if value else set()
    if not isinstance(value, dict):
        return set()
    found = {key for key in value if key.startswith("$")}
    return found.union(*map(words, value.values()))


def accepted(document: object) -> dict[str, Any] | None:
    try:
        return check_query(document)
    except InvalidInput:
        return None


@settings(max_examples=1000, deadline=None)
@given(documents)
def test_query_is_accepted_or_refused_and_nothing_else(document):
    query = accepted(document)
    if query is not None:
        assert words(query) <= set(OPERATORS) - {"$date"}
        assert words(resolve(query, NOW)) <= set(OPERATORS) - {"$date", "$ago"}


@settings(max_examples=300, deadline=None)
@given(st.lists(st.sampled_from(["$or", "$and", "elem", "not", "eq", "in"]), max_size=5),
       st.sampled_from(FORBIDDEN))  # fmt: skip
def test_forbidden_operator_is_found_wherever_it_hides(layers, operator):
    wraps = {
        "$or": lambda inner: {"$or": [inner]},
        "$and": lambda inner: {"$and": [{"plugins.a": 1}, inner]},
        "elem": lambda inner: {"plugins.a": {"$elemMatch": inner}},
        "not": lambda inner: {"plugins.a": {"$not": inner}},
        "eq": lambda inner: {"plugins.a": {"$eq": inner}},
        "in": lambda inner: {"plugins.a": {"$in": [inner]}},
    }
    document: Any = {operator: "x"}
    for layer in layers:
        document = wraps[layer](document)
    assert accepted(document) is None


@settings(max_examples=500, deadline=None)
@given(st.one_of(st.text(max_size=200), st.binary(max_size=100).map(lambda b: b.decode("latin-1"))))
def test_text_is_a_check_or_refused_and_nothing_else(source):
    try:
        parse_check(source)
    except InvalidInput:
        return


YAML_BITS = ["name: a\n", "summary: b\n", "severity: low\n", "remedy: c\n", "fails: ", "grace: ",
             "plugin: ", "? ", "- ", ": ", "{", "}", "[", "]", "&a ", "*a", "!!set ", "!!int ''",
             "0o9", "1e400", "0x", "1:99", "2001-1-1", "2001-01-01T99:00:00", "'", '"', "\\ud800",
             "|\n", "\t", "%YAML 9\n", "---\n", "<<: ", "$where", "plugins.a", "=", "~",
             "\n  "]  # fmt: skip


@settings(max_examples=1000, deadline=None)
@given(st.lists(st.sampled_from(YAML_BITS), max_size=25).map("".join))
def test_broken_yaml_is_refused_and_nothing_else(source):
    try:
        parse_check(source)
    except InvalidInput:
        return


@settings(max_examples=300, deadline=None)
@given(st.text(alphabet='ab+*?(){},|[]^$\\.-&~"dpx1:=!<i', max_size=24))
def test_pattern_is_accepted_or_refused_and_nothing_else(pattern):
    accepted({"plugins.a": {"$regex": pattern}})


def test_database_takes_every_query_that_is_accepted(mongo_uri):
    found: list[dict[str, Any]] = []

    @settings(max_examples=1500, deadline=None, suppress_health_check=list(HealthCheck))
    @given(likely)
    def gather(document: Any) -> None:
        query = accepted(document)
        if query is not None:
            found.append(resolve(query, NOW))

    @settings(max_examples=1500, deadline=None, suppress_health_check=list(HealthCheck))
    @given(st.text(alphabet="ab+*?(){},|[]^$\\.-d1:=!<i", max_size=12))
    def gather_patterns(pattern: str) -> None:
        query = accepted({"plugins.a": {"$regex": pattern}})
        if query is not None:
            found.append(query)

    async def ask() -> None:
        async with fresh_database(mongo_uri) as database:
            await database.db["states"].insert_one({"plugins": {"a": [{"b": 1}, "a"]}})
            for query in found:
                await database.db["states"].count_documents(query)

    gather()
    gather_patterns()
    assert len(found) > 100
    asyncio.run(ask())


def test_check_that_was_read_means_the_same_when_read_again():
    source = yaml.safe_dump(
        {
            "name": "a",
            "summary": "b",
            "severity": "low",
            "remedy": "c",
            "fails": {"plugins.a": "on"},
        }
    )
    assert parse_check(source).fails == {"plugins.a": "on"}
