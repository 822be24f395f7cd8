from __future__ import annotations

import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from penguindome.errors import InvalidInput
from penguindome.ids import new_device_id
from penguindome.selectors import Selector, matches_name, parse_selector

DEVICE = "d-abcdefgh23456722"


def test_terms_are_sorted_by_what_they_say() -> None:
    terms = ["web-*", "name:db", f"id:{DEVICE}", "label:eng", "failing:firewall-disabled", "web-*"]
    expected = Selector(("web-*", "name:db", f"id:{DEVICE}"), ("eng",), ("firewall-disabled",))
    assert parse_selector(terms) == expected


@pytest.mark.parametrize(
    ("terms", "expected"),
    [
        ([], True),
        (["label:eng"], True),
        (["web-1"], True),
        (["WEB-1"], True),
        (["web-*"], True),
        (["web-[0-3]"], True),
        (["web-?"], True),
        (["db", "web-1"], True),
        (["name:web-1"], True),
        ([DEVICE], True),
        ([f"id:{DEVICE}"], True),
        (["d-abcd*"], True),
        (["web"], False),
        (["eb-1"], False),
        (["id:web-1"], False),
        ([f"name:{DEVICE}"], False),
    ],
)
def test_names_match_hostnames_and_ids(terms: list[str], expected: bool) -> None:
    assert matches_name(parse_selector(terms), "Web-1", DEVICE) is expected


@pytest.mark.parametrize(
    "term",
    ["", "label:", "label:a b", "failing:", "colour:blue", "id:", "a\nb", "a\x1b", "a" * 300, "$x"],
)
def test_bad_terms_are_named(term: str) -> None:
    with pytest.raises(InvalidInput) as caught:
        parse_selector([term])
    assert caught.value.subject == term[:80]
    assert caught.value.remedy


def test_too_many_terms_are_refused() -> None:
    with pytest.raises(InvalidInput):
        parse_selector(["a"] * 1001)


@given(st.lists(st.text(max_size=20), max_size=5), st.text(max_size=20))
def test_any_terms_give_a_selector_or_our_error(terms: list[str], hostname: str) -> None:
    try:
        selector = parse_selector(terms)
    except InvalidInput:
        return
    matches_name(selector, hostname, new_device_id())


@given(st.from_regex(r"[a-z0-9.-]{1,30}", fullmatch=True))
def test_a_hostname_selects_itself(hostname: str) -> None:
    assert matches_name(parse_selector([hostname]), hostname, DEVICE)


def test_a_hostile_glob_is_quick() -> None:
    start = time.monotonic()
    matches_name(parse_selector(["*a" * 60 + "b"]), "a" * 253, DEVICE)
    assert time.monotonic() - start < 1
