"""Attacks on the trust document's rotation, as a table."""

from __future__ import annotations

import contextlib
import json
from dataclasses import replace
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from penguindome.errors import (
    AlreadyExists,
    Forbidden,
    InvalidInput,
    NotFound,
    PreconditionFailed,
)
from penguindome.ids import new_fleet_id
from penguindome.openpgp import key_fingerprint
from penguindome.trust import (
    Role,
    accept_first,
    accept_next,
    document_hash,
    from_payload,
    joined,
    left,
    renewed,
    replay,
    to_payload,
)

if TYPE_CHECKING:
    from penguindome.envelope import Envelope
    from penguindome.trust import TrustDocument
    from tests.penguindome.signing import Fleet

OLD = ("alice", "bob")


def second(signing: Fleet, *names: str, **changes: Any) -> TrustDocument:
    return signing.document(*(names or OLD), threshold=2, **({"version": 2} | changes))


def test_the_next_version_is_accepted(fleet: Fleet) -> None:
    first = fleet.document(*OLD, threshold=2)
    document = second(fleet, "bob", "carol")
    envelope = fleet.publish(document, "alice", "bob", "carol")
    assert accept_next(first, envelope, fleet.now) == document


@pytest.mark.parametrize("days", [-3, 0, 366, 4000])
def test_a_renewed_document_is_the_old_one_with_another_year(fleet: Fleet, days: int) -> None:
    first = fleet.document("alice")
    now = fleet.now + timedelta(days=days)
    document = renewed(first, now)
    assert accept_next(first, fleet.publish(document, "alice"), now + timedelta(days=4)) == document
    assert document.expires_time - max(now, first.issued_time) == timedelta(days=365)
    changed = {"version", "issued_time", "expires_time"}
    same = set(first.__slots__) - changed
    assert all(getattr(first, name) == getattr(document, name) for name in same)


def test_operators_join_and_leave_by_the_root_rule(fleet: Fleet) -> None:
    first = fleet.document("alice")
    second = joined(first, "bob", fleet.blob("bob"), fleet.now)
    assert accept_next(first, fleet.publish(second, "alice"), fleet.now) == second
    assert all(role.fingerprints[-1] == fleet.keys["bob"] for role in second.roles.values())
    assert {name: role.threshold for name, role in second.roles.items() if role.threshold > 1} == {
        "wipe": 2
    }
    third = left(second, "alice", fleet.now)
    assert third.roles["wipe"] == Role(1, (fleet.keys["bob"],))
    assert accept_next(second, fleet.publish(third, "alice", "bob"), fleet.now) == third
    assert list(third.operators.values()) == ["bob"]


def test_nobody_joins_twice_and_the_last_one_stays(fleet: Fleet) -> None:
    first = fleet.document("alice")
    for name, key in (("alice", "bob"), ("bob", "alice")):
        with pytest.raises(AlreadyExists):
            joined(first, name, fleet.blob(key), fleet.now)
    with pytest.raises(InvalidInput):
        joined(first, "bob", b"no key", fleet.now)
    with pytest.raises(NotFound):
        left(first, "bob", fleet.now)
    with pytest.raises(PreconditionFailed, match="too few operators would be left for approve"):
        left(first, "alice", fleet.now)


@pytest.mark.parametrize(
    ("names", "changes", "by", "code"),
    [
        (OLD, {"version": 3}, OLD, "wrong-version"),
        (OLD, {"version": 1}, OLD, "wrong-version"),
        (("carol", "mallory"), {}, ("carol", "mallory"), "not-signed"),
        (("bob", "carol"), {}, OLD, "not-signed"),
        (OLD, {}, ("alice",), "not-signed"),
        (OLD, {}, ("alice", "alice"), "not-signed"),
        (OLD, {}, ("alice", "mallory"), "not-signed"),
        (OLD, {}, (), "not-signed"),
        (OLD, {"fleet": new_fleet_id()}, OLD, "wrong-fleet"),
        (OLD, {"issued_time": timedelta(seconds=-1)}, OLD, "trust-rollback"),
        (OLD, {"ticket_floor_time": timedelta(seconds=-1)}, OLD, "trust-rollback"),
        (OLD, {"issued_time": timedelta(days=2)}, OLD, "trust-from-future"),
    ],
    ids=[
        "skip",
        "same-version",
        "new-keys-only",
        "non-consenting-new-keys",
        "one-of-two",
        "one-twice",
        "outsider",
        "unsigned",
        "other-fleet",
        "older",
        "lower-floor",
        "future",
    ],
)
def test_rotation_attacks_are_refused(
    fleet: Fleet, names: tuple[str, ...], changes: dict[str, Any], by: tuple[str, ...], code: str
) -> None:
    changes = {
        name: fleet.now + value if isinstance(value, timedelta) else value
        for name, value in changes.items()
    }
    envelope = fleet.publish(second(fleet, *names, **changes), *by)
    with pytest.raises(Forbidden) as caught:
        accept_next(fleet.document(*OLD, threshold=2), envelope, fleet.now)
    assert caught.value.code == code


def test_rollback_to_an_older_signed_version_is_refused(fleet: Fleet) -> None:
    old = fleet.publish(fleet.document("alice"), "alice")
    with pytest.raises(Forbidden) as caught:
        accept_next(fleet.document("alice", version=7), old, fleet.now)
    assert caught.value.code == "wrong-version"


def test_another_kind_of_envelope_is_no_trust_document(fleet: Fleet) -> None:
    envelope = fleet.sign("command", to_payload(second(fleet)), *OLD)
    with pytest.raises(Forbidden) as caught:
        accept_next(fleet.document(*OLD, threshold=2), envelope, fleet.now)
    assert caught.value.code == "wrong-kind"


def test_signed_nonsense_is_refused(fleet: Fleet) -> None:
    envelope = fleet.sign("trust", b'{"version":2}', *OLD)
    with pytest.raises(Forbidden) as caught:
        accept_next(fleet.document(*OLD, threshold=2), envelope, fleet.now)
    assert caught.value.code == "bad-payload"


def broken(fleet: Fleet, case: str) -> TrustDocument:
    good = fleet.document(*OLD, threshold=2)
    alice, bob = (fleet.keys[name] for name in OLD)
    cases: dict[str, dict[str, Any]] = {
        "threshold 0": {"roles": {"root": Role(0, (alice, bob))}},
        "threshold 3 of 2": {"roles": {"root": Role(3, (alice, bob))}},
        "key twice in a role": {"roles": {"root": Role(2, (alice, alice))}},
        "unknown key in a role": {"roles": {"root": Role(1, (fleet.keys["carol"],))}},
        "unknown role": {"roles": {**good.roles, "king": Role(1, (alice,))}},
        "no root": {"roles": {"wipe": Role(1, (alice,))}},
        "blob under another fingerprint": {
            "keys": {alice: fleet.blob("bob"), bob: fleet.blob("alice")}
        },
        "two keys in a blob": {"keys": {**good.keys, alice: fleet.blob("alice") * 2}},
        "no key in a blob": {"keys": {**good.keys, alice: b""}},
        "two keys of one operator": {"operators": {alice: "alice", bob: "alice"}},
        "operator without key": {"operators": {alice: "alice"}},
        "no anchors": {"tls_anchors": ()},
        "version 0": {"version": 0},
        "ends before it begins": {"expires_time": good.issued_time},
    }
    return replace(good, **cases[case])


@pytest.mark.parametrize(
    "case",
    [
        "threshold 0",
        "threshold 3 of 2",
        "key twice in a role",
        "unknown key in a role",
        "unknown role",
        "no root",
        "blob under another fingerprint",
        "two keys in a blob",
        "no key in a blob",
        "two keys of one operator",
        "operator without key",
        "no anchors",
        "version 0",
        "ends before it begins",
    ],
)
def test_a_document_that_contradicts_itself_is_refused(fleet: Fleet, case: str) -> None:
    with pytest.raises(InvalidInput):
        to_payload(broken(fleet, case))


def test_the_first_document_is_the_pinned_one(fleet: Fleet) -> None:
    document = fleet.document("alice")
    envelope = fleet.publish(document, "alice")
    pinned = document_hash(envelope.payload)
    assert accept_first(envelope, pinned_hash=pinned, now=fleet.now) == document
    other = fleet.publish(fleet.document("mallory"), "mallory")
    with pytest.raises(Forbidden) as caught:
        accept_first(other, pinned_hash=pinned, now=fleet.now)
    assert caught.value.code == "trust-mismatch"
    with pytest.raises(Forbidden) as caught:
        accept_first(replace(envelope, signatures=()), pinned_hash=pinned, now=fleet.now)
    assert caught.value.code == "not-signed"


def test_a_chain_is_replayed_from_any_version(fleet: Fleet) -> None:
    documents = [fleet.document("alice", version=version) for version in (1, 2, 3)]
    chain = [fleet.publish(document, "alice") for document in documents]
    pinned = document_hash(chain[1].payload)

    def newest(envelopes: list[Envelope], current: TrustDocument | None) -> int:
        found = replay(envelopes, current=current, pinned_hash=pinned, now=fleet.now)
        return found.version

    assert newest(chain, None) == 3
    assert newest(chain[1:], documents[0]) == 3
    assert newest([], documents[2]) == 3
    for envelopes, current in (
        (chain[2:], None),
        ([chain[1], chain[0]], None),
        ([], None),
        ([chain[2]], documents[0]),
    ):
        with pytest.raises(Forbidden):
            newest(envelopes, current)


def test_a_document_survives_its_payload(fleet: Fleet) -> None:
    document = fleet.document("alice", "bob", minimum_agent="1.2", server_names=("a", "b"))
    assert from_payload(to_payload(document)) == document


def test_later_fields_are_ignored_unless_critical(fleet: Fleet) -> None:
    document = fleet.document("alice")
    fields = json.loads(to_payload(document))
    fields["colour"] = "blue"
    assert from_payload(json.dumps(fields).encode()) == document
    fields["crit"] = ["colour"]
    with pytest.raises(InvalidInput):
        from_payload(json.dumps(fields).encode())


anything = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner),
    max_leaves=5,
)


@given(st.data())
def test_a_document_with_any_field_replaced_never_crashes(fleet: Fleet, data: Any) -> None:
    fields = json.loads(to_payload(fleet.document("alice")))
    fields[data.draw(st.sampled_from(sorted(fields)))] = data.draw(anything)
    with contextlib.suppress(InvalidInput):
        from_payload(json.dumps(fields).encode())


@given(st.binary(max_size=100))
def test_arbitrary_bytes_are_no_key(blob: bytes) -> None:
    with pytest.raises(InvalidInput):
        key_fingerprint(blob)


def test_private_and_armoured_keys_are_no_public_keys(fleet: Fleet) -> None:
    key = fleet.keys["alice"]
    for options in (["--export-secret-keys"], ["--armor", "--export"]):
        with pytest.raises(InvalidInput):
            key_fingerprint(fleet.home.gpg(*options, key))
    assert key_fingerprint(fleet.blob("alice")) == key
