"""Attacks on envelopes, with real keys and the real gpgv."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from penguindome.envelope import LIMITS, Envelope, open_envelope, signed_bytes, signers
from penguindome.errors import Forbidden
from penguindome.gpgv import verify_detached
from penguindome.ids import new_device_id
from tests.penguindome.signing import gpg_home

if TYPE_CHECKING:
    from penguindome.envelope import Payload
    from penguindome.trust import TrustDocument
    from tests.penguindome.signing import Fleet

DEVICE = new_device_id()


def opened(fleet: Fleet, envelope: Envelope, trust: TrustDocument) -> Payload:
    return open_envelope(
        envelope, trust=trust, role="command", fleet=fleet.id, device_id=DEVICE, now=fleet.now
    )


def refused(fleet: Fleet, envelope: Envelope, trust: TrustDocument) -> str:
    with pytest.raises(Forbidden) as caught:
        opened(fleet, envelope, trust)
    return caught.value.code


def test_a_signed_order_opens(fleet: Fleet) -> None:
    payload = fleet.order(DEVICE)
    envelope = fleet.sign("command", payload, "alice")
    found = opened(fleet, envelope, fleet.document("alice"))
    assert (found.devices, found.body) == ((DEVICE,), {"words": ["true"]})


def test_two_of_three_signatures_open(fleet: Fleet) -> None:
    trust = fleet.document("alice", "bob", "carol", threshold=2)
    envelope = fleet.sign("command", fleet.order(DEVICE), "alice", "carol")
    assert opened(fleet, envelope, trust).by == "alice"
    expected = {fleet.keys["alice"], fleet.keys["carol"]}
    assert signers(envelope, trust, "command") == expected


def test_too_few_signatures_are_refused(fleet: Fleet) -> None:
    trust = fleet.document("alice", "bob", "carol", threshold=2)
    one = fleet.sign("command", fleet.order(DEVICE), "alice")
    assert refused(fleet, one, trust) == "not-signed"
    twice = replace(one, signatures=one.signatures * 3)
    assert refused(fleet, twice, trust) == "not-signed"
    again = fleet.sign("command", one.payload, "alice", "alice")
    assert refused(fleet, again, trust) == "not-signed"
    outsider = fleet.sign("command", one.payload, "alice", "mallory")
    assert refused(fleet, outsider, trust) == "not-signed"
    assert refused(fleet, replace(one, signatures=()), trust) == "not-signed"


def test_two_glued_signatures_count_for_nothing(fleet: Fleet) -> None:
    trust = fleet.document("alice", "bob", threshold=2)
    envelope = fleet.sign("command", fleet.order(DEVICE), "alice", "bob")
    glued = replace(envelope, signatures=(b"".join(envelope.signatures),))
    assert refused(fleet, glued, trust) == "not-signed"
    assert not signers(glued, trust, "command")


def test_a_key_in_the_ring_but_not_in_the_role_is_refused(fleet: Fleet) -> None:
    trust = fleet.document("alice", "bob")
    only_bob = replace(trust.roles["command"], fingerprints=(fleet.keys["bob"],))
    trust = replace(trust, roles={**trust.roles, "command": only_bob})
    envelope = fleet.sign("command", fleet.order(DEVICE), "alice")
    assert refused(fleet, envelope, trust) == "not-signed"
    assert refused(fleet, envelope, replace(trust, roles={})) == "not-signed"


def test_a_changed_byte_or_kind_is_refused(fleet: Fleet) -> None:
    trust = fleet.document("alice")
    envelope = fleet.sign("command", fleet.order(DEVICE), "alice")
    changed = envelope.payload.replace(b"a test", b"a Test")
    assert refused(fleet, replace(envelope, payload=changed), trust) == "not-signed"
    assert refused(fleet, replace(envelope, payload=envelope.payload + b" "), trust) == "not-signed"
    assert refused(fleet, replace(envelope, kind="wipe"), trust) == "not-signed"
    assert refused(fleet, replace(envelope, kind="com\0mand"), trust) == "bad-envelope"


def test_a_payload_of_another_kind_is_refused(fleet: Fleet) -> None:
    envelope = fleet.sign("wipe", fleet.order(DEVICE, "command"), "alice")
    assert refused(fleet, envelope, fleet.document("alice")) == "wrong-kind"


@pytest.mark.parametrize("options", [["--textmode"], ["--digest-algo", "SHA1"], ["--sign"]])
def test_weak_forms_of_signature_are_refused(fleet: Fleet, options: list[str]) -> None:
    payload = fleet.order(DEVICE)
    data = signed_bytes("command", payload)
    extra = ["--allow-weak-digest-algos"] if "SHA1" in options else []
    signature = fleet.home.sign(fleet.keys["alice"], data, *options, *extra)
    envelope = Envelope("command", payload, (signature,))
    assert refused(fleet, envelope, fleet.document("alice")) == "not-signed"


def test_junk_beside_a_good_signature_is_ignored(fleet: Fleet) -> None:
    envelope = fleet.sign("command", fleet.order(DEVICE), "alice")
    junk = (b"", b"\0", b"junk" * 1000, *envelope.signatures, b"-----BEGIN PGP SIGNATURE-----")
    assert opened(fleet, replace(envelope, signatures=junk), fleet.document("alice"))


def test_sizes_are_checked_first(fleet: Fleet) -> None:
    trust = fleet.document("alice")
    envelope = fleet.sign("command", fleet.order(DEVICE), "alice")
    many = envelope.signatures * (LIMITS.signatures + 1)
    assert refused(fleet, replace(envelope, signatures=many), trust) == "bad-envelope"
    long = (b"x" * (LIMITS.signature_bytes + 1),)
    assert refused(fleet, replace(envelope, signatures=long), trust) == "bad-envelope"
    large = b"x" * (LIMITS.payload_bytes + 1)
    assert refused(fleet, replace(envelope, payload=large), trust) == "bad-envelope"


def test_hostile_json_is_refused_only_after_its_signature(fleet: Fleet) -> None:
    trust = fleet.document("alice")
    good = fleet.order(DEVICE)
    for payload in (
        b"{}",
        b"[" * 50 + b"]" * 50,
        good.replace(b'"seq"', b'"seq"')[:-1] + b',"id":"x"}',
        good.replace(b'["true"]', b"1.5"),
        good.replace(b'["true"]', b"NaN"),
        good[:-1] + b',"crit":["new"]}',
        good.replace(b'"devices":["', b'"all":true,"devices":["'),
    ):
        assert refused(fleet, fleet.sign("command", payload, "alice"), trust) == "bad-payload"
        assert refused(fleet, Envelope("command", payload, (b"x",)), trust) == "not-signed"


def test_revoked_and_expired_keys_are_refused() -> None:
    with gpg_home() as home:
        old = home.make("old", expires="2020-01-31", faked_time="20200101T000000!")
        late = home.sign(old, b"data", faked_time="20200102T000000!")
        gone = home.make("gone")
        signature = home.sign(gone, b"data")
        blob = home.export(gone)
        assert verify_detached(b"data", signature, [blob]) == gone
        home.revoke(gone)
        for detached, key in ((late, old), (signature, gone)):
            with pytest.raises(Forbidden):
                verify_detached(b"data", detached, [home.export(key)])


def test_a_hanging_or_missing_gpgv_refuses(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("penguindome.gpgv._PLACES", ("/usr/bin/yes",))
    with pytest.raises(Forbidden):
        verify_detached(b"data", b"signature", [], 0.2)
