"""A server that was taken over has signatures, but not those that count."""

from __future__ import annotations

from dataclasses import replace

import pytest

from penguindome.envelope import Envelope, signed_bytes
from penguindome.errors import InvalidInput
from penguindome.trust import Role, to_payload
from tests.attacks.kit.world import order_id
from tests.penguin_agent.agent_process import eventually
from tests.penguindome.signing import gpg_home

pytestmark = pytest.mark.timeout(240)
WEAK = {
    "text": ["--textmode"],
    "armoured text": ["--textmode", "--armor"],
    "SHA-1": ["--digest-algo", "SHA1", "--allow-weak-digest-algos"],
    "inline": ["--sign"],
    "armoured inline": ["--sign", "--armor"],
    "clear text": ["--clear-sign"],
}


def by_hand(world, kind, payload, home, key, *options, faked_time=""):
    """Return an envelope with a signature that gpg was told to make in its own way."""
    data = signed_bytes(kind, payload)
    return Envelope(kind, payload, (home.sign(key, data, *options, faked_time=faked_time),))


def test_keys_that_are_not_an_operators_are_refused(world):
    with gpg_home() as home:
        # The laptop's user, with the name of an operator.
        stranger = home.make("alice")
        for kind in ("command", "patch", "release", "wipe-plan", "cancel-command"):
            payload = world.payload(kind)
            assert world.code(by_hand(world, kind, payload, home, stranger)) == "not-signed"
    world.control()


def test_an_operator_without_the_role_is_refused(world):
    assert world.code(world.signed("command", "mallory")) == "not-signed"
    # Carol may take part in patches and wipes, but command nothing.
    assert world.code(world.signed("command", "carol")) == "not-signed"
    assert world.code(world.signed("command", "carol", "mallory")) == "not-signed"
    assert world.code(world.signed("cancel-command", "carol")) == "not-signed"
    world.control()


@pytest.mark.parametrize("form", WEAK)
def test_a_signature_of_a_weak_form_by_the_right_key_is_refused(world, form):
    fleet = world.fleet
    envelope = by_hand(
        world, "command", world.payload(), fleet.home, fleet.keys["alice"], *WEAK[form]
    )
    assert world.code(envelope) == "not-signed"
    world.control()


def test_the_armour_of_a_good_signature_is_accepted_and_only_over_its_own_bytes(world):
    fleet, mark = world.fleet, world.mark()
    key = fleet.keys["alice"]
    good = by_hand(world, "command", world.payload(mark=mark), fleet.home, key, "--armor")
    other = replace(good, payload=world.payload())
    assert world.code(other) == "not-signed"
    world.runs(good, mark)


def test_a_removed_a_revoked_and_an_expired_key_are_refused(world):
    """Each key has the role at first, and its order of then is handed over only afterwards."""
    fleet, home = world.fleet, world.fleet.home
    gone, revoked = home.make("gone"), home.make("revoked")
    old = home.make("old", expires="2020-01-31", faked_time="20200101T000000!")
    late = by_hand(world, "command", world.payload(), home, old, faked_time="20200102T000000!")
    withheld = by_hand(world, "command", world.payload(), home, gone)
    early = by_hand(world, "command", world.payload(), home, revoked)
    mark = world.mark()
    control = by_hand(world, "command", world.payload(mark=mark), home, gone)
    blobs = {one: home.export(one) for one in (gone, revoked, old)}
    world.publish(with_commanders(world, blobs))
    world.runs(control, mark)
    home.revoke(revoked)
    blobs = {revoked: home.export(revoked), old: blobs[old]}
    # Gone is no longer named at all; the others' keys are as they are now.
    world.publish(with_commanders(world, blobs))
    for envelope in (withheld, early, late):
        assert world.code(envelope) == "not-signed"
    fresh = by_hand(world, "command", world.payload(), home, gone)
    assert world.code(fresh) == "not-signed"
    world.publish(world.roles())
    assert fleet.keys["alice"] in world.server.document.keys
    world.control()


def with_commanders(world, blobs):
    """Return the next document, in which further keys may command."""
    whole = world.roles()
    names = {key: f"more-{number}" for number, key in enumerate(sorted(blobs))}
    role = Role(1, (*whole.roles["command"].fingerprints, *sorted(blobs)))
    return replace(
        whole,
        keys={**whole.keys, **blobs},
        operators={**whole.operators, **names},
        roles={**whole.roles, "command": role},
    )


@pytest.mark.parametrize("kind", ["patch", "release", "wipe"])
def test_one_of_two_signatures_is_refused_however_often_it_is_there(world, kind):
    payload = world.payload(kind)
    one = world.fleet.sign(kind, payload, "alice")
    again = world.fleet.sign(kind, payload, "alice")
    outsider = world.fleet.sign(kind, payload, "mallory")
    for signatures in (
        one.signatures,
        one.signatures * 2,
        one.signatures * 16,
        one.signatures + again.signatures,
        one.signatures + outsider.signatures,
        (one.signatures[0] + again.signatures[0],),
    ):
        world.refused(replace(one, signatures=signatures))
    assert world.server.final(order_id(one)).code == "not-signed"
    world.control()


def test_two_of_two_signatures_are_accepted(world):
    mark = world.mark()
    patch = world.signed("patch", "alice", "carol", mark=mark)
    world.server.send(patch)
    assert world.server.final(order_id(patch)).state == "succeeded"
    # The plugin of the patch runs, and runs only now.
    eventually(mark.exists)
    # What signatures alone can do for a wipe; this machine's own settings stop it afterwards.
    assert world.code(world.signed("wipe", "alice", "bob")) == "not-allowed"


def test_a_signature_over_one_order_is_none_over_another(world):
    mark = world.mark()
    one, two = world.signed(mark=mark), world.signed()
    assert world.code(replace(two, signatures=one.signatures)) == "not-signed"
    # Both at once: what counts is what is signed.
    world.runs(replace(one, signatures=one.signatures + two.signatures), mark)


def test_no_operator_can_have_two_keys(world):
    fleet = world.fleet
    second = fleet.home.make("alice-two")
    whole = world.roles()
    twin = replace(
        whole,
        keys={**whole.keys, second: fleet.home.export(second)},
        operators={**whole.operators, second: "alice"},
    )
    with pytest.raises(InvalidInput, match="two keys"):
        to_payload(twin)
    # A root operator who writes it by other means gets nowhere either.
    other = to_payload(replace(twin, operators={**whole.operators, second: "alicf"}))
    forged = fleet.sign("trust", other.replace(b'"alicf"', b'"alice"'), "alice")
    before = world.trust_version()
    world.server.announce(*world.server.chain, forged, version=before + 1)
    world.control()
    assert world.trust_version() == before
    world.server.announce()
