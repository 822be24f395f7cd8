from __future__ import annotations

import bson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from penguind.domain.escaping import escape_key, escape_value, unescape_key, unescape_value
from penguindome.errors import InvalidInput

KEYS = st.text(st.characters(codec="utf-8", exclude_characters="\0"), min_size=1, max_size=12)
HOSTILE_KEYS = st.one_of(KEYS, st.text("$.%245E", min_size=1, max_size=8))
VALUES = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**63), 2**63 - 1)
    | st.floats(allow_nan=False)
    | st.text(st.characters(codec="utf-8")),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(HOSTILE_KEYS, inner, max_size=4),
    max_leaves=20,
)


@given(VALUES)
def test_values_come_back_through_the_database(value):
    stored = bson.decode(bson.encode({"value": escape_value(value)}))["value"]
    assert unescape_value(stored) == value


@given(HOSTILE_KEYS)
def test_stored_keys_mean_nothing_to_the_database(key):
    stored = escape_key(key)
    assert "." not in stored
    assert "$" not in stored
    assert unescape_key(stored) == key


@given(HOSTILE_KEYS, HOSTILE_KEYS)
def test_different_keys_stay_different(one, other):
    assert (escape_key(one) == escape_key(other)) == (one == other)


@pytest.mark.parametrize("key", ["", "a\0b", "\0"])
def test_keys_that_bson_cannot_hold_are_refused(key):
    with pytest.raises(InvalidInput):
        escape_value([{"ok": {key: 1}}])


@pytest.mark.parametrize(
    ("key", "stored"),
    [
        ("a.b", "a%2Eb"),
        ("$ref", "%24ref"),
        ("100%", "100%25"),
        ("%24", "%2524"),
        ("plain", "plain"),
    ],
)
def test_the_escapes(key, stored):
    assert escape_key(key) == stored


def test_reference_look_alikes_stay_documents():
    hostile = {"$ref": "states", "$id": "d-1", "$db": "admin"}
    stored = bson.decode(bson.encode({"value": escape_value(hostile)}))["value"]
    assert isinstance(stored, dict)
    assert unescape_value(stored) == hostile
