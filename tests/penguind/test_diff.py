from __future__ import annotations

import pytest
from bson.int64 import Int64
from hypothesis import given
from hypothesis import strategies as st

from penguind.domain.diff import Change, ChangeType, compare, same

ADD, CHANGE, DELETE = ChangeType.ADD, ChangeType.CHANGE, ChangeType.DELETE

CASES = {
    "nothing": ({"a": 1}, {"a": 1}, []),
    "times of observation": ({"a": {"seen_at": 1}}, {"a": {"seen_at": 2}}, []),
    "times inside lists": ([{"n": 1, "seen_at": 1}], [{"n": 1, "seen_at": 2}], []),
    "a time appears": ({"a": 1}, {"a": 1, "seen_at": 2}, []),
    "nested change": ({"a": {"b": 1}}, {"a": {"b": 2}}, [Change(CHANGE, "p.a.b", 1, 2)]),
    "added key": ({}, {"a": {"b": 1}}, [Change(ADD, "p.a", new={"b": 1})]),
    "added null": ({}, {"a": None}, [Change(ADD, "p.a")]),
    "deleted key": ({"a": [1]}, {}, [Change(DELETE, "p.a", old=[1])]),
    "longer list is recorded whole": ([1], [1, 2], [Change(CHANGE, "p", [1], [1, 2])]),
    "order matters in lists": ([1, 2], [2, 1], [Change(CHANGE, "p", [1, 2], [2, 1])]),
    "object in list": ([{"a": 1}], [{"a": 2}], [Change(CHANGE, "p", [{"a": 1}], [{"a": 2}])]),
    "recorded without times": (
        [{"a": 1, "x_at": 1}],
        [],
        [Change(CHANGE, "p", [{"a": 1}], [])],
    ),
    "number becomes text": ({"a": 1}, {"a": "1"}, [Change(CHANGE, "p.a", 1, "1")]),
    "number becomes truth": ({"a": 1}, {"a": True}, [Change(CHANGE, "p.a", 1, True)]),
    "whole becomes decimal": ({"a": 1}, {"a": 1.0}, [Change(CHANGE, "p.a", 1, 1.0)]),
    "object becomes list": ({"a": {}}, {"a": []}, [Change(CHANGE, "p.a", {}, [])]),
    "null becomes value": ({"a": None}, {"a": 0}, [Change(CHANGE, "p.a", None, 0)]),
    "the database's integers": ({"a": Int64(2**40)}, {"a": 2**40}, []),
    "several": (
        {"a": 1, "b": 2, "c": 3},
        {"b": 3, "c": 3, "d": 4},
        [Change(DELETE, "p.a", old=1), Change(CHANGE, "p.b", 2, 3), Change(ADD, "p.d", new=4)],
    ),
}


@pytest.mark.parametrize("name", CASES)
def test_rules(name):
    old, new, expected = CASES[name]
    assert [(*map(repr, (c.type, c.key, c.old, c.new)),) for c in compare(old, new, "p")] == [
        (*map(repr, (c.type, c.key, c.old, c.new)),) for c in expected
    ]


SCALARS = st.none() | st.booleans() | st.integers(-3, 3) | st.text("ab", max_size=2)
VALUES = st.recursive(
    SCALARS,
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(st.sampled_from(["a", "b", "c", "x_at"]), inner, max_size=3)
    ),
    max_leaves=12,
)


@given(VALUES, VALUES)
def test_no_changes_means_the_same(old, new):
    assert (not list(compare(old, new, "p"))) == same(old, new)


@given(VALUES, VALUES)
def test_both_directions_mirror_each_other(old, new):
    there = {(c.key, repr(c.old), repr(c.new)) for c in compare(old, new, "p")}
    back = {(c.key, repr(c.new), repr(c.old)) for c in compare(new, old, "p")}
    assert there == back


@given(VALUES)
def test_a_value_equals_itself(value):
    assert same(value, value)
