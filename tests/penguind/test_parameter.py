"""The rules of parameters: what a mail address is, and how devices are linked."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from penguind.domain.parameter import (
    MAX_LINKED,
    check_links,
    check_name,
    linked,
    mail_address,
    unlinked,
)
from penguindome.errors import InvalidInput

DEVICES = "abcdef"
STEPS = st.lists(
    st.tuples(st.sampled_from(DEVICES), st.sets(st.sampled_from(DEVICES), max_size=4)), max_size=12
)


def in_order(*steps):
    """Set links one after the other; an empty list unsets."""
    links = {}
    for device, listed in steps:
        others = set(listed) - {device}
        links |= linked(links, device, others) if others else unlinked(links, device)
    return {device: set(others) for device, others in links.items() if others}


@given(steps=STEPS)
def test_links_are_symmetric_and_transitive_whatever_was_done(steps):
    links = in_order(*steps)
    for device, others in links.items():
        assert device not in others
        for other in others:
            assert links[other] == (others | {device}) - {other}


@given(steps=STEPS, device=st.sampled_from(DEVICES), others=st.sets(st.sampled_from(DEVICES)))
def test_a_group_is_exactly_what_was_set_and_setting_it_again_changes_nothing(
    steps, device, others
):
    others -= {device}
    links = in_order(*steps, (device, others))
    assert links.get(device, set()) == others
    assert in_order(*steps, (device, others), (device, others)) == links


@pytest.mark.parametrize(
    ("steps", "after"),
    [
        ([("a", "bc")], {"a": "bc", "b": "ac", "c": "ab"}),
        ([("a", "bc"), ("a", "b")], {"a": "b", "b": "a"}),
        # b leaves a and c for d; a and c stay together.
        ([("a", "bc"), ("d", "b")], {"a": "c", "c": "a", "b": "d", "d": "b"}),
        # Who is not on the list any more is linked to nobody.
        ([("a", "bcd"), ("a", "b")], {"a": "b", "b": "a"}),
        # The list of another member counts as well.
        ([("a", "bc"), ("b", "c")], {"b": "c", "c": "b"}),
        ([("a", "bc"), ("a", "")], {"b": "c", "c": "b"}),
        ([("a", "b"), ("a", "")], {}),
        ([("a", "b"), ("c", "d"), ("a", "c")], {"a": "c", "c": "a"}),
    ],
)
def test_linking(steps, after):
    assert in_order(*steps) == {device: set(others) for device, others in after.items()}


@pytest.mark.parametrize(
    "address",
    ["example@example.com", "a.b+c@mail.example.com", "o'neil@localhost", "x" * 64 + "@a.org"],
)
def test_a_mail_address_is_taken_as_it_is(address):
    assert mail_address([address]) == address


@pytest.mark.parametrize(
    "address",
    [
        "",
        "ann",
        "@example.com",
        "ann@",
        "ann@@example.com",
        "ann@b@example.com",
        "ann@example.com\r\nBcc: all@example.com",
        "ann@example.com\n",
        "ann@exa\x00mple.com",
        "Ann <ann@example.com>",
        "ann@example.com,bob@example.com",
        ".ann@example.com",
        "ann@-example.com",
        "ann@example..com",
        "a\u0301nn@example.com",
        "x" * 65 + "@example.com",
        "ann@" + "a." * 124 + "example.com",
    ],
)
def test_what_is_no_mail_address_is_refused(address):
    with pytest.raises(InvalidInput, match="no mail address"):
        mail_address([address])


@given(text=st.text(max_size=80))
def test_whatever_is_taken_as_an_address_has_one_at_and_no_blank_or_control(text):
    try:
        address = mail_address([text])
    except InvalidInput:
        return
    assert address.count("@") == 1
    assert address.isascii()
    assert not any(letter.isspace() or ord(letter) < 33 for letter in address)


@pytest.mark.parametrize("values", [[], ["a@b.c", "d@e.f"]])
def test_a_user_has_one_mail_address(values):
    with pytest.raises(InvalidInput, match="one mail address"):
        mail_address(values)


def test_links_to_itself_to_nobody_and_to_too_many_are_refused():
    with pytest.raises(InvalidInput, match="with itself"):
        check_links("a", ["b", "a"])
    with pytest.raises(InvalidInput, match="needs a device"):
        check_links("a", [])
    with pytest.raises(InvalidInput, match="at most"):
        check_links("a", [str(number) for number in range(MAX_LINKED)])


def test_an_unknown_parameter_is_named_with_those_there_are():
    with pytest.raises(InvalidInput, match=r"'user_phone'.*user_clients, user_email"):
        check_name("user_phone")
