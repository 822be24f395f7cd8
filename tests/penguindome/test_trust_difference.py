"""What a signer is shown names every change."""

from __future__ import annotations

import hashlib
import json
from dataclasses import fields, replace
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from penguindome import trust_changes as change
from penguindome.errors import InvalidInput
from penguindome.strict_json import canonical_json
from penguindome.trust import ROLES, Role, SecretKey, ServerAddress, to_payload
from penguindome.trust_difference import check_wholly_known, difference

if TYPE_CHECKING:
    from penguindome.trust import TrustDocument
    from tests.penguindome.signing import Fleet

PLACE = ServerAddress("new.example", 443, 8443)
SECRET = SecretKey("k-1", b"public", "00ff")


def variations(fleet: Fleet, old: TrustDocument) -> dict[str, tuple[TrustDocument, str]]:
    """Return documents that differ in one thing each, and what has to be said of it."""
    later = old.issued_time + timedelta(hours=1)
    anchors = [hashlib.sha256(one).hexdigest() for one in (b"other", b"anchor")]
    changed: dict[str, tuple[dict[str, Any], str]] = {
        "fleet": ({"fleet": "0" * 32}, "another fleet's"),
        "version": ({"version": 7}, "It is version 7 instead of 1."),
        "issued_time": ({"issued_time": later}, "It was written on "),
        "expires_time": ({"expires_time": later}, "It ends on "),
        "tls_anchors": ({"tls_anchors": (b"anchor", b"other")}, f"A new TLS anchor: {anchors[0]}."),
        "tls_anchors less": ({"tls_anchors": (b"other",)}, f"No TLS anchor any more: {anchors[1]}"),
        "server_names": ({"server_names": ("evil.example",)}, "A new server name: evil.example."),
        "server_names twice": (
            {"server_names": old.server_names * 2},
            "Repeated otherwise: server name",
        ),
        "server_addresses": ({"server_addresses": (PLACE,)}, "A new address: new.example:443,8443"),
        "secret_keys": ({"secret_keys": (SECRET,)}, "A new secret-keeping key: k-1"),
        "ticket_floor_time": ({"ticket_floor_time": later}, "VOID: everything"),
        "minimum_agent": ({"minimum_agent": "9.1"}, "The oldest agent that may act: 9.1"),
    }
    found = {name: (replace(old, **each), said) for name, (each, said) in changed.items()}
    return found | variations_of_people(fleet, old)


def variations_of_people(fleet: Fleet, old: TrustDocument) -> dict[str, tuple[TrustDocument, str]]:
    """Return what differs in who may sign what."""
    alice, bob, carol = (fleet.keys[one] for one in ("alice", "bob", "carol"))
    changed: dict[str, tuple[dict[str, Any], str]] = {
        "keys": ({"keys": {**old.keys, alice: old.keys[alice] + b"\x88\x00"}}, "exported anew"),
        "operators": ({"operators": {alice: "bob", bob: "alice"}}, "alice has another key"),
        "roles": (
            {"roles": {**old.roles, "shell": Role(1, (alice,))}},
            "Role shell: bob may sign no more.",
        ),
        "roles threshold": (
            {"roles": {**old.roles, "wipe": Role(2, (alice, bob))}},
            "Role wipe: 2 signatures instead of 1 signature.",
        ),
        "roles gone": (
            {"roles": {one: old.roles[one] for one in ROLES if one != "shell"}},
            "Role shell: nobody can act instead of 1 signature.",
        ),
    }
    found = {name: (replace(old, **each), said) for name, (each, said) in changed.items()}
    joined = change.with_operator(old, "carol", fleet.blob("carol"))
    found["an operator more"] = (joined, f"carol joins, with the key {carol}.")
    left = change.without_operator(old, "bob")
    found["an operator less"] = (left, f"bob leaves; the key {bob}")
    return found


def test_every_change_is_said(fleet: Fleet) -> None:
    old = fleet.document("alice", "bob")
    found = variations(fleet, old)
    for name, (new, said) in found.items():
        assert any(said in line for line in difference(old, new)), name
    tried = {name.partition(" ")[0] for name in found}
    assert {one.name for one in fields(old)} <= tried


@given(st.data())
def test_no_change_hides_behind_another(fleet: Fleet, data: st.DataObject) -> None:
    old = fleet.document("alice", "bob")
    names = [one.name for one in fields(old) if one.name != "operators"]
    chosen = data.draw(st.lists(st.sampled_from(names), min_size=1, max_size=4, unique=True))
    found = variations(fleet, old)
    new = replace(old, **{name: getattr(found[name][0], name) for name in chosen})
    lines = difference(old, new)
    for name in chosen:
        assert any(found[name][1] in line for line in lines), name


def test_the_order_of_what_is_tried_first_is_said(fleet: Fleet) -> None:
    others = (PLACE, ServerAddress("::1", 1, 2))
    old = fleet.document("alice", server_addresses=others, tls_anchors=(b"a", b"b"))
    new = replace(old, server_addresses=others[::-1], tls_anchors=(b"b", b"a"))
    said = difference(old, new)
    assert "Another order: address [::1]:1,2, new.example:443,8443." in said
    assert any(line.startswith("Another order: TLS anchor ") for line in said)


def test_a_renewal_says_only_times_and_number(fleet: Fleet) -> None:
    old = fleet.document("alice", "bob")
    new = change.renewed(old, fleet.now + timedelta(days=3))
    assert [line.split(" ")[:2] for line in difference(old, new)] == [
        ["It", "ends"],
        ["It", "was"],
        ["It", "is"],
    ]


@pytest.mark.parametrize("field", ["hidden", "roles", "keys"])
def test_what_this_version_cannot_show_is_not_to_be_signed(fleet: Fleet, field: str) -> None:
    payload = to_payload(fleet.document("alice"))
    check_wholly_known(payload)
    value = json.loads(payload)
    if field == "hidden":
        value["hidden"] = True
    elif field == "roles":
        value["roles"]["root"]["delegates"] = ["mallory"]
    else:
        # Another spelling of the same is another document, byte for byte.
        with pytest.raises(InvalidInput):
            check_wholly_known(json.dumps(value, indent=1).encode())
        return
    with pytest.raises(InvalidInput) as caught:
        check_wholly_known(canonical_json(value))
    assert caught.value.code == "not-wholly-known"
