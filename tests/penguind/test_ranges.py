"""The rules for networks of roles."""

import contextlib
import ipaddress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from penguind.domain.ranges import clean_ranges, read_ranges, withheld, within
from penguindome.errors import InvalidInput

ROLES = frozenset({"viewer", "admin"})
NETWORKS = st.one_of(
    st.builds(
        lambda address, bits: ipaddress.ip_network((address, bits), strict=False),
        st.ip_addresses(v=4),
        st.integers(0, 32),
    ),
    st.builds(
        lambda address, bits: ipaddress.ip_network((address, bits), strict=False),
        st.ip_addresses(v=6),
        st.integers(0, 128),
    ),
)


@given(st.lists(NETWORKS, max_size=8))
def test_cleaning_changes_nothing_that_is_clean(networks):
    cleaned = clean_ranges([str(one) for one in networks])
    assert clean_ranges(cleaned) == cleaned
    assert [str(one) for one in read_ranges(cleaned)] == list(cleaned)
    for network in networks:
        assert within(network.network_address, read_ranges(cleaned))


@given(st.ip_addresses(v=4), st.integers(0, 32))
def test_a_mapped_address_is_the_same_as_its_ipv4_form(address, bits):
    network = ipaddress.ip_network((address, bits), strict=False)
    mapped = ipaddress.ip_address(f"::ffff:{address}")
    wide = f"::ffff:{network.network_address}/{96 + bits}"
    assert clean_ranges([wide]) == (str(network),)
    assert within(mapped, read_ranges([wide]))


@given(st.text(max_size=20))
def test_any_text_is_a_network_or_refused(text):
    with contextlib.suppress(InvalidInput):
        assert ipaddress.ip_network(clean_ranges([text])[0])


def test_what_has_no_address_is_nowhere_and_what_has_no_limit_is_everywhere():
    ranges = {"admin": read_ranges(["10.0.0.0/8"])}
    assert withheld(ROLES, ranges, None) == {"admin"}
    assert withheld(ROLES, ranges, ipaddress.ip_address("10.1.2.3")) == frozenset()
    assert withheld(ROLES, ranges, ipaddress.ip_address("2001:db8::1")) == {"admin"}
    assert withheld(ROLES, {}, None) == frozenset()


def test_a_limit_that_cannot_be_read_any_more_lets_nobody_in():
    assert withheld(ROLES, {"admin": read_ranges(["nonsense"])}, ipaddress.ip_address("::1"))


@pytest.mark.parametrize("count", [65, 1000])
def test_too_many_networks_are_refused(count):
    with pytest.raises(InvalidInput):
        clean_ranges([f"10.0.0.{number % 250}" for number in range(count)])
