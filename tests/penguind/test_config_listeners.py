from __future__ import annotations

import ipaddress
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from penguind.config import load_settings
from penguind.config_listeners import generated_paths, overlap
from penguind.domain.advertised import Advertised
from penguindome.errors import InvalidInput

HEAD = "[server]\nadvertised_host = 'host.example'\nstate_dir = '/s'\n"


def settings(folder, text):
    path = folder / "penguind.toml"
    path.write_text(HEAD + text)
    return load_settings(path)


def two(one, other):
    """Return two listeners on the same port of two addresses."""
    table = "[listeners.{}]\nkind = 'main'\nport = 1\naddress = '{}'\n"
    return table.format("a", one) + table.format("b", other)


def by_name(found):
    return {one.name: one for one in found.listeners}


def test_the_first_pair_is_two_listeners(tmp_path):
    found = settings(tmp_path, "[listen]\nadvertised_main_port = 443\nmain_deprecated = true\n")
    main, boot = found.listeners
    assert (main.name, main.kind, main.port, main.advertised_port) == ("main", "main", 7443, 443)
    assert (boot.name, boot.port, boot.advertised_host) == ("bootstrap", 7444, "host.example")
    assert (main.deprecated, boot.deprecated) == (True, False)
    assert boot.certificate == Path("/s/tls/server.pem")


def test_a_further_listener_inherits_from_the_first_pair(tmp_path):
    text = "[listen]\naddress = '10.0.0.1'\n[listeners.new]\nkind = 'main'\nport = 9000\n"
    new = by_name(settings(tmp_path, text))["new"]
    assert (new.address, new.advertised_host, new.advertised_port) == (
        "10.0.0.1", "host.example", 9000,
    )  # fmt: skip
    assert (new.certificate, new.key) == generated_paths(Path("/s"), "main")
    assert not new.deprecated


def test_a_further_listener_may_differ_in_everything(tmp_path):
    text = """
[listeners.six]
kind = "bootstrap"
address = "::1"
port = 9000
advertised_host = "six.example"
advertised_port = 443
certificate = "/c"
key = "/k"
deprecated = true
"""
    six = by_name(settings(tmp_path, text))["six"]
    assert (six.kind, six.address, six.port) == ("bootstrap", "::1", 9000)
    assert (six.advertised_host, six.advertised_port) == ("six.example", 443)
    assert (six.certificate, six.key, six.deprecated) == (Path("/c"), Path("/k"), True)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("[listeners.a]\nport = 1", "listeners.a.kind"),
        ("[listeners.a]\nkind = 'main'", "listeners.a.port"),
        ("[listeners.a]\nkind = 'side'\nport = 1", "main, bootstrap"),
        ("[listeners.a]\nkind = 'main'\nport = 1\nprot = 2", "prot"),
        ("[listeners.a]\nkind = 'main'\nport = 1\nkey = '/k'", "go together"),
        ("[listeners.main]\nkind = 'main'\nport = 1", "is no name"),
        ("[listeners.server]\nkind = 'main'\nport = 1", "is no name"),
        ("[listeners.a-key]\nkind = 'main'\nport = 1", "is no name"),
        ("[listeners.'../a']\nkind = 'main'\nport = 1", "is no name"),
        ("[listeners]\na = 1", "listeners.a"),
        ("[listeners.a]\nkind = 'main'\nport = 7444", "bootstrap and a both use port 7444"),
        (
            two("::1", "0:0::1"),
            "a and b both use port 1",
        ),
        (
            two("::", "10.0.0.1"),
            "a and b both use port 1",
        ),
        ("[listen]\nmain_port = 0", "no main listener"),
        ("[listen]\nbootstrap_port = 0", "no bootstrap listener"),
    ],
)
def test_what_is_wrong_is_named(tmp_path, text, said):
    with pytest.raises(InvalidInput) as caught:
        settings(tmp_path, text)
    assert said in caught.value.text()


def test_one_port_on_two_addresses_is_no_collision(tmp_path):
    text = """
[listen]
address = "10.0.0.1"
[listeners.a]
kind = "main"
port = 7443
address = "10.0.0.2"
[listeners.b]
kind = "main"
port = 7443
address = "::1"
"""
    assert [one.port for one in settings(tmp_path, text).listeners] == [7443, 7444, 7443, 7443]


def test_the_first_pair_can_be_gone(tmp_path):
    text = "[listen]\nmain_port = 0\n[listeners.new]\nkind = 'main'\nport = 9000\n"
    found = settings(tmp_path, text)
    assert [one.name for one in found.listeners] == ["bootstrap", "new"]
    assert found.advertised == Advertised("host.example", 9000, 7444)


NEW = "[listeners.new]\nkind = 'main'\nport = 9000\nadvertised_host = 'new.example'\n"
BOOT = "[listeners.zboot]\nkind = 'bootstrap'\nport = 9001\nadvertised_host = 'new.example'\n"


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("", ("host.example", 7443, 7444)),
        (NEW + BOOT, ("host.example", 7443, 7444)),
        ("[listen]\nmain_deprecated = true\n" + NEW + BOOT, ("new.example", 9000, 9001)),
        ("[listen]\nmain_deprecated = true\n" + NEW, ("new.example", 9000, 7444)),
        ("[listen]\nmain_deprecated = true\n", ("host.example", 7443, 7444)),
        (
            "[listen]\nmain_deprecated = true\n" + NEW + BOOT + "deprecated = true\n",
            ("new.example", 9000, 7444),
        ),
    ],
)
def test_others_are_told_of_what_is_to_stay(tmp_path, text, told):
    assert settings(tmp_path, text).advertised == Advertised(*told)


ADDRESSES = st.one_of(
    st.ip_addresses().map(str),
    st.sampled_from(["0.0.0.0", "::", "host", "::ffff:10.0.0.1"]),  # noqa: S104 -- compared
)


@given(ADDRESSES, ADDRESSES)
def test_overlap_has_no_order_and_holds_for_one_address(one, other):
    assert overlap(one, other) == overlap(other, one)
    assert overlap(one, one)


@given(st.ip_addresses(v=4))
def test_an_address_in_another_spelling_is_the_same(address):
    assert overlap(str(address), f"::ffff:{address}")


@given(st.ip_addresses(), st.ip_addresses())
def test_different_addresses_do_not_overlap(one, other):
    wild = any(address.is_unspecified for address in (one, other))
    if one != other and not wild and not _mapped(one) and not _mapped(other):
        assert not overlap(str(one), str(other))


def _mapped(address):
    return isinstance(address, ipaddress.IPv6Address) and address.ipv4_mapped is not None
