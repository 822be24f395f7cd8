"""Attacks on orders, with real keys and the real gpgv: whose, for whom, how long, in which form."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import pytest

from penguindome.envelope import CLOCK_TOLERANCE, Envelope, make_payload
from penguindome.errors import Forbidden, InvalidInput
from penguindome.ids import new_device_id, new_ulid
from penguindome.orders.kinds import KINDS, MANY_DEVICES, kind_of
from penguindome.orders.opening import Opened, hostname_of, open_order
from penguindome.orders.shell_body import ShellBody
from penguindome.trust import Role

if TYPE_CHECKING:
    from penguindome.trust import TrustDocument
    from tests.penguindome.signing import Fleet

DEVICE, OTHER = new_device_id(), new_device_id()
NAMES = {DEVICE: "host"}
DIGEST = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"
ENTRY = {"path": "plugins/a", "mode": "0644", "size": 0, "sha256": DIGEST}
COMMAND = {"hostnames": NAMES, "name": "n", "argv": ["true"], "timeout_seconds": 1}
WIPE = {"hostnames": NAMES, "level": "lock"}
CANCEL = {"hostnames": NAMES, "order_ids": ["0" * 26]}
BODIES: dict[str, dict[str, Any]] = {
    "release": {"label": "one", "files": [ENTRY]},
    "patch": {"hostnames": NAMES, "files": [{"path": "plugins/a", "entry": ENTRY}]},
    "command": COMMAND | {"output_limit_bytes": 0},
    "wipe-plan": WIPE,
    "wipe": WIPE | {"confirmation": f"{DEVICE} host"},
    "shell": ShellBody(NAMES, bytes(32)).to_json(),
    "cancel-command": CANCEL,
    "cancel-patch": CANCEL,
    "cancel-wipe": CANCEL,
}
SOME = [kind for kind in BODIES if kind != "release"]


def written(fleet: Fleet, kind: str, **changes: Any) -> bytes:
    fields: dict[str, Any] = {"body": BODIES[kind]}
    fields |= {"expires_time": fleet.now + min(KINDS[kind].longest, timedelta(hours=1))}
    if kind == "release":
        fields |= {"devices": None, "seq": 1}
    return fleet.order(DEVICE, kind, **(fields | changes))


def signed(fleet: Fleet, kind: str, *names: str, **changes: Any) -> Envelope:
    return fleet.sign(kind, written(fleet, kind, **changes), *(names or ("alice",)))


def opened(
    fleet: Fleet, envelope: Envelope, trust: TrustDocument | None = None, **changes: Any
) -> Opened:
    known = {"fleet": fleet.id, "device_id": DEVICE, "now": fleet.now} | changes
    return open_order(envelope, trust=trust or fleet.document("alice"), **known)


def refused(
    fleet: Fleet, envelope: Envelope, trust: TrustDocument | None = None, **changes: Any
) -> str:
    with pytest.raises(Forbidden) as caught:
        opened(fleet, envelope, trust, **changes)
    return caught.value.code


@pytest.mark.parametrize("kind", BODIES)
def test_a_signed_order_of_each_kind_opens(fleet, kind):
    found = opened(fleet, signed(fleet, kind))
    assert (found.kind.name, found.payload.kind, found.missing) == (kind, kind, 0)
    assert found.signers == {fleet.keys["alice"]}
    assert hostname_of(found, DEVICE) == (None if kind == "release" else "host")


def test_there_is_an_example_of_each_kind():
    assert set(BODIES) == set(KINDS)


@pytest.mark.parametrize("kind", BODIES)
def test_an_order_that_nobody_of_its_role_signed_is_refused(fleet, kind):
    envelope = signed(fleet, kind)
    assert refused(fleet, replace(envelope, signatures=())) == "not-signed"
    assert refused(fleet, signed(fleet, kind, "mallory")) == "not-signed"
    trust = fleet.document("alice", "bob")
    others = {name: Role(1, (fleet.keys["bob"],)) for name in (KINDS[kind].role, "root")}
    assert refused(fleet, envelope, replace(trust, roles={**trust.roles, **others})) == "not-signed"
    nobody = {name: role for name, role in trust.roles.items() if name != KINDS[kind].role}
    assert refused(fleet, envelope, replace(trust, roles=nobody)) == "not-signed"


@pytest.mark.parametrize("kind", ["policy", "bundle", "trust", "enroll", "secrets", "", "Wipe"])
def test_a_kind_that_is_no_order_is_refused_though_it_is_signed(fleet, kind):
    payload = fleet.order(DEVICE, kind, body=BODIES["command"])
    assert refused(fleet, fleet.sign(kind, payload, "alice")) == "not-supported"
    with pytest.raises(Forbidden):
        kind_of(kind)


@pytest.mark.parametrize("kind", BODIES)
@pytest.mark.parametrize("other", BODIES)
def test_an_order_that_is_marked_as_another_kind_is_refused(fleet, kind, other):
    if kind == other:
        return
    payload = written(fleet, kind)
    # Somebody signed one kind, and the server calls it another.
    moved = replace(fleet.sign(kind, payload, "alice"), kind=other)
    assert refused(fleet, moved) == "not-signed"
    # Somebody was made to sign bytes of one kind as another.
    assert refused(fleet, fleet.sign(other, payload, "alice")) == "wrong-kind"


@pytest.mark.parametrize("kind", ["release", "patch", "command", "wipe"])
def test_one_of_two_signatures_is_refused(fleet, kind):
    trust = fleet.document("alice", "bob", "carol", threshold=2)
    payload = written(fleet, kind)
    for names in (("alice",), ("alice", "alice"), ("alice", "mallory")):
        assert refused(fleet, fleet.sign(kind, payload, *names), trust) == "not-signed"
    whole = opened(fleet, fleet.sign(kind, payload, "alice", "carol"), trust)
    assert whole.signers == {fleet.keys["alice"], fleet.keys["carol"]}
    one = fleet.sign(kind, payload, "bob")
    assert opened(fleet, one, trust, device_id=None, incomplete=True).missing == 1


@pytest.mark.parametrize("kind", ["wipe-plan", "cancel-command", "cancel-patch", "cancel-wipe"])
def test_what_only_looks_or_takes_away_needs_one_signature(fleet, kind):
    trust = fleet.document("alice", "bob", threshold=2)
    assert opened(fleet, signed(fleet, kind), trust).missing == 0


def test_a_command_for_many_devices_needs_two_signatures(fleet):
    devices = [DEVICE, *(new_device_id() for _ in range(MANY_DEVICES))]
    trust = fleet.document("alice", "bob")
    for number, names, code in (
        (MANY_DEVICES, ("alice",), ""),
        (MANY_DEVICES + 1, ("alice",), "not-signed"),
        (MANY_DEVICES + 1, ("alice", "alice"), "not-signed"),
        (MANY_DEVICES + 1, ("alice", "bob"), ""),
    ):
        body = BODIES["command"] | {"hostnames": dict.fromkeys(devices[:number], "host")}
        envelope = signed(fleet, "command", *names, devices=devices[:number], body=body)
        if code:
            assert refused(fleet, envelope, trust) == code
        else:
            assert opened(fleet, envelope, trust).missing == 0
    many = signed(fleet, "command", devices=devices, body=body)
    assert opened(fleet, many, trust, device_id=None, incomplete=True).missing == 1


@pytest.mark.parametrize(
    ("changes", "code"),
    [
        ({"body": BODIES["command"] | {"more": 1}}, "bad-payload"),
        ({"body": {}}, "bad-payload"),
        ({"body": BODIES["command"] | {"hostnames": {OTHER: "host"}}}, "wrong-targets"),
        ({"body": BODIES["command"] | {"hostnames": {**NAMES, OTHER: "b"}}}, "wrong-targets"),
        ({"devices": [DEVICE, OTHER]}, "wrong-targets"),
        ({"devices": [DEVICE, DEVICE]}, "wrong-targets"),
        ({"devices": [OTHER]}, "wrong-device"),
        ({"devices": None}, "wrong-targets"),
        ({"seq": 1}, "bad-payload"),
    ],
)
def test_a_command_of_another_form_is_refused(fleet, changes, code):
    assert refused(fleet, signed(fleet, "command", **changes)) == code


def test_an_order_for_another_fleet_is_refused(fleet):
    payload = fleet.order(DEVICE, body=BODIES["command"], fleet="0" * 32)
    envelope = fleet.sign("command", payload, "alice")
    assert refused(fleet, envelope) == "wrong-fleet"
    trust = fleet.document("alice", fleet="0" * 32)
    assert refused(fleet, envelope, trust) == "wrong-fleet"


@pytest.mark.parametrize(
    ("kind", "changes", "code"),
    [
        ("release", {"devices": [DEVICE]}, "wrong-targets"),
        ("release", {"seq": None}, "bad-payload"),
        ("release", {"body": {"label": "one", "files": [ENTRY | {"path": "../a"}]}}, "bad-files"),
        ("wipe", {"devices": None}, "wrong-targets"),
        ("wipe", {"body": WIPE}, "unconfirmed"),
        ("wipe", {"body": WIPE | {"confirmation": f"{DEVICE} other"}}, "unconfirmed"),
        ("wipe", {"body": WIPE | {"confirmation": f"{OTHER} host"}}, "unconfirmed"),
        ("wipe", {"body": WIPE | {"hostnames": {**NAMES, OTHER: "host"}}}, "bad-payload"),
        ("wipe-plan", {"devices": [DEVICE, OTHER]}, "wrong-targets"),
    ],
)
def test_a_release_or_wipe_of_another_form_is_refused(fleet, kind, changes, code):
    assert refused(fleet, signed(fleet, kind, **changes)) == code


@pytest.mark.parametrize("kind", BODIES)
def test_an_order_that_is_good_for_too_long_is_refused(fleet, kind):
    longest = fleet.now + KINDS[kind].longest
    assert opened(fleet, signed(fleet, kind, expires_time=longest))
    late = longest + CLOCK_TOLERANCE + timedelta(seconds=1)
    assert refused(fleet, signed(fleet, kind, expires_time=late)) == "too-long"


@pytest.mark.parametrize("kind", SOME)
def test_an_order_out_of_its_time_is_refused(fleet, kind):
    soon = timedelta(minutes=6)
    cases = [
        ({"not_before_time": fleet.now + soon}, "not-yet-valid"),
        ({"issued_time": fleet.now + soon}, "not-yet-valid"),
        ({"not_before_time": fleet.now - soon, "expires_time": fleet.now}, "expired"),
        ({"issued_time": fleet.now - timedelta(seconds=1)}, "voided"),
    ]
    for changes, code in cases:
        assert refused(fleet, signed(fleet, kind, **changes)) == code
    trust = replace(fleet.document("alice"), expires_time=fleet.now)
    assert refused(fleet, signed(fleet, kind), trust) == "trust-expired"


@pytest.mark.parametrize("year", [1, 9999])
def test_the_first_and_last_times_there_are_crash_nothing(fleet, year):
    moment = datetime(year, 1, 1, tzinfo=UTC)
    later = moment + timedelta(hours=1)
    times = {"issued_time": moment, "not_before_time": moment, "expires_time": later}
    expected = "expired" if year == 1 else "not-yet-valid"
    assert refused(fleet, signed(fleet, "command", **times)) == expected


def test_words_that_are_no_utf_8_are_refused_before_anybody_signs(fleet):
    with pytest.raises(InvalidInput):
        written(fleet, "command", body=BODIES["command"] | {"argv": ["/bin/\udcff"]})
    with pytest.raises(InvalidInput):
        written(fleet, "command", reason="\udcff")


def test_hostile_json_is_refused_only_after_its_signature(fleet):
    good = written(fleet, "command")
    deep = b'{"a":' * 50 + b"1" + b"}" * 50
    for payload in (
        b"",
        b"null",
        b"\xff",
        b"[" * 50 + b"]" * 50,
        good.replace(b'"argv"', b'"name":"x","argv"'),
        good.replace(b'["true"]', b"[NaN]"),
        good.replace(b'["true"]', b"[1e999]"),
        good.replace(b'"argv":["true"]', b'"argv":' + deep),
        good[:-1] + b',"crit":["new"]}',
    ):
        assert refused(fleet, fleet.sign("command", payload, "alice")) == "bad-payload"
        assert refused(fleet, Envelope("command", payload)) == "not-signed"
    large = good[:-1] + b" " * 1024 * 1024 + b"}"
    assert refused(fleet, fleet.sign("command", large, "alice")) == "bad-envelope"


def test_a_payload_is_checked_before_it_is_signed(fleet):
    with pytest.raises(InvalidInput):
        make_payload(
            fleet=fleet.id,
            kind="command",
            id=new_ulid(fleet.now),
            issued_time=fleet.now,
            not_before_time=fleet.now,
            expires_time=fleet.now,
            devices=[DEVICE],
            reason="",
            by="alice",
            body={},
        )
