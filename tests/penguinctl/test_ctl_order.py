"""penguinctl order: several signatures, verified before they are given."""

import json
import os
import shutil
import subprocess
from dataclasses import replace
from datetime import timedelta

import pytest

from penguinctl import signing
from penguindome import trust
from penguindome.envelope import Envelope, make_payload
from penguindome.ids import new_ulid
from penguindome.times import utc_now
from tests.penguinctl import samples
from tests.penguinctl.conftest import Ctl


class Pair:
    """Alice, who made the fleet, and Bob, who may sign as she does."""

    def __init__(self, simulator, home):
        self.simulator = simulator
        self.alice = Ctl(home)
        assert self.alice("init", stdin=simulator.invitation()).code == 0
        digest = trust.document_hash(simulator.state.trust[0].envelope.payload)
        (home / "b").mkdir()
        self.bob = Ctl(home / "b")
        self.bob("init", stdin=simulator.invitation("bob", trust_hash=digest))
        gpg = ["gpg", "--homedir", str(self.bob.profile / "gnupg"), "--batch", "--no-autostart"]
        export = ["--export", "--export-options", "export-minimal"]
        done = subprocess.run([*gpg, *export], check=True, capture_output=True, timeout=60)
        path = home / "bob.gpg"
        path.write_bytes(done.stdout)
        added = self.alice("trust", "add", "bob", "--key-file", str(path), "--yes")
        assert added.code == 0, added.err
        samples.fill(simulator.state)
        for device in simulator.state.devices:
            simulator.orders.device_key(device.device_id)

    @property
    def book(self):
        return self.simulator.orders

    def many(self, count=501):
        """Fill the fleet with devices enough for a command to need two signatures."""
        letters = str.maketrans("0123456789", "abcdefghij")
        self.simulator.state.devices = [
            samples.device(f"d-{n:016}".translate(letters), f"host-{n}", connected=False)
            for n in range(count)
        ]

    def waiting(self):
        """Have Alice order what needs Bob; return the order's id."""
        self.many()
        done = self.alice("run", "host-*", "--reason", "all of them", "--", "true")
        assert done.code == 8, done.err
        (order_id,) = self.book.kept
        return order_id, done


@pytest.fixture
def pair(fresh, home):
    return Pair(fresh, home)


def spoil(book, order_id, **changes):
    """Change the envelope that the server hands over."""
    kept = book.kept[order_id]
    kept.envelope = replace(kept.envelope, **changes)
    return kept


def test_an_order_for_many_devices_waits_for_a_second_operator(pair):
    order_id, done = pair.waiting()
    assert f"Order {order_id} waits for 1 more signature" in done.err
    assert "It can be given by bob: penguinctl order approve" in done.err
    assert {one.state for one in pair.book.kept[order_id].targets.values()} == {"waiting"}
    (row,) = json.loads(pair.bob("order", "list", "--waiting", "-o", "json").out)["orders"]
    assert (row["order_id"], row["missing_signatures"]) == (order_id, 1)
    assert "needs 1 more signature" in pair.bob("order", "list").out
    approved = pair.bob("order", "approve", order_id[:12], "--yes")
    assert approved.code == 0, approved.err
    assert "Devices get it from now on" in approved.out
    kept = pair.book.kept[order_id]
    assert list(kept.order.signed_by) == ["alice", "bob"]
    assert len(kept.envelope.signatures) == 2
    assert {one.state for one in kept.targets.values()} == {"queued"}


def test_what_is_approved_is_shown_from_the_signed_bytes_and_not_from_a_summary(pair):
    order_id, _ = pair.waiting()
    summary = pair.book.kept[order_id].order
    summary.name, summary.reason, summary.by = "harmless", "nothing", "carol"
    result = pair.bob.terminal("order", "approve", order_id, typed=b"n\n", NO_COLOR="1")
    assert result.code == 6
    for words in ("/bin/sh -c true", "all of them", "501 devices", "host-0 (d-", "By", "alice"):
        assert words.lower() in result.out.lower()
    assert "harmless" not in result.out
    assert "carol" not in result.out
    assert pair.simulator.requests("ApproveOrder") == []
    yes = pair.bob.terminal("order", "approve", order_id, typed=b"y\n")
    assert yes.code == 0, yes.out


def test_nobody_signs_twice_or_more_than_is_needed(pair):
    order_id, _ = pair.waiting()
    again = pair.alice("order", "approve", order_id, "--yes")
    assert (again.code, "signed it already" in again.err, "bob" in again.err) == (6, True, True)
    assert pair.bob("order", "approve", order_id, "--yes").code == 0
    late = pair.bob("order", "approve", order_id, "--yes")
    assert late.code == 6
    assert len(pair.simulator.requests("ApproveOrder")) == 1


def test_without_somebody_to_ask_only_yes_approves(pair):
    order_id, _ = pair.waiting()
    result = pair.bob("order", "approve", order_id)
    assert (result.code, "nobody is there" in result.err) == (6, True)
    assert pair.simulator.requests("ApproveOrder") == []


def _payload(pair, **changes):
    """Return a command's payload that Alice could have written, but for the changes."""
    now = utc_now()
    body = {
        "hostnames": {samples.WEB: "web-1"},
        "name": "x",
        "argv": ["true"],
        "timeout_seconds": 600,
        "output_limit_bytes": 1,
    }
    fields = {
        "fleet": pair.simulator.fleet,
        "kind": "command",
        "id": new_ulid(now),
        "issued_time": now,
        "not_before_time": now,
        "expires_time": now + timedelta(hours=1),
        "devices": [samples.WEB],
        "reason": "",
        "by": "alice",
        "body": body,
    } | changes
    return make_payload(**fields)


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({}, "signatures that the role command needs"),
        ({"fleet": "f" * 32}, "another fleet"),
        ({"expires_time": utc_now() - timedelta(minutes=1)}, "it has expired"),
        ({"expires_time": utc_now() + timedelta(days=60)}, "good for more than"),
        ({"devices": [samples.WEB, samples.DB]}, "hostnames are not those"),
    ],
)
def test_what_a_device_would_refuse_is_not_approved(pair, changes, words):
    order_id, _ = pair.waiting()
    past = {"issued_time": utc_now() - timedelta(hours=1)}
    past["not_before_time"] = past["issued_time"]
    payload = _payload(pair, id=order_id, **(past if "expired" in words else {}), **changes)
    folder = pair.alice.profile
    (key,) = [one for one, name in pair.book.trust().operators.items() if name == "alice"]
    ours = signing.SigningKey(key, folder / "gnupg", own_home=True, passphrase="")
    signed = signing.sign(ours, "command", payload)
    signatures = signed.signatures if changes else (b"\x88",)
    spoil(pair.book, order_id, payload=payload, signatures=signatures)
    result = pair.bob("order", "approve", order_id, "--yes")
    assert (result.code, words in result.err) == (4, True), result.err
    assert pair.simulator.requests("ApproveOrder") == []


@pytest.mark.parametrize("how", ["of something else", "by somebody else"])
def test_a_signature_that_is_not_ours_goes_nowhere(pair, how):
    bob = pair.bob.profile / "gnupg"
    (key,) = [one for one, name in pair.book.trust().operators.items() if name == "bob"]
    signs = {
        "of something else": 'LC_ALL=C sed s/harmless/dreadful/ | "$gpg" "$@"',
        "by somebody else": f'"$gpg" --homedir {bob} --batch --local-user {key} --detach-sign',
    }[how]
    stand_in = pair.alice.home / "bin" / "gpg"
    stand_in.parent.mkdir()
    stand_in.write_text(
        f"#!/bin/sh\ngpg={shutil.which('gpg')}\n"
        f'case "$*" in *--detach-sign*) {signs} ;; *) "$gpg" "$@" ;; esac\n'
    )
    stand_in.chmod(0o755)
    path = f"{stand_in.parent}:{os.environ['PATH']}"
    done = pair.alice("run", "web-1", "--reason", "it is", "--", "harmless", PATH=path)
    gpgconf = ["gpgconf", "--homedir", str(bob), "--kill", "gpg-agent"]
    subprocess.run(gpgconf, check=True, timeout=60)
    assert (done.code, "our own signature does not verify" in done.err) == (7, True), done.err
    assert pair.simulator.requests("SubmitOrder") == []
    assert pair.alice("run", "web-1", "--reason", "it is", "--", "harmless").code == 0


def test_a_payload_that_was_exchanged_is_not_approved(pair):
    order_id, _ = pair.waiting()
    kept = pair.book.kept[order_id]
    spoil(pair.book, order_id, payload=kept.envelope.payload.replace(b"true", b"evil"))
    result = pair.bob("order", "approve", order_id, "--yes")
    assert (result.code, "signatures" in result.err) == (4, True)
    shown = pair.bob("order", "show", order_id)
    assert "nobody whose signature counts" in shown.out


def test_one_who_left_the_trust_document_approves_nothing(pair):
    order_id, _ = pair.waiting()
    left = trust.renewed(pair.book.trust(), utc_now())
    (bob,) = [one for one, name in left.operators.items() if name == "bob"]
    roles = {
        name: replace(role, fingerprints=tuple(one for one in role.fingerprints if one != bob))
        if name == "command"
        else role
        for name, role in left.roles.items()
    }
    changed = replace(left, roles=roles)
    (alice,) = [one for one, name in left.operators.items() if name == "alice"]
    ours = signing.SigningKey(alice, pair.alice.profile / "gnupg", own_home=True, passphrase="")
    envelope = signing.sign(ours, trust.KIND, trust.to_payload(changed))
    pair.simulator.state.trust.append(_document(changed.version, envelope))
    result = pair.bob("order", "approve", order_id, "--yes")
    assert (result.code, "has not the role command" in result.err) == (4, True)
    assert "alice" in result.err


def _document(version, envelope):
    from penguindome.v1 import envelope_pb2  # noqa: PLC0415 -- only here

    wire = envelope_pb2.Envelope(
        kind=envelope.kind, payload=envelope.payload, signatures=envelope.signatures
    )
    return envelope_pb2.TrustDocument(version=version, envelope=wire)


def test_withdrawn_orders_are_taken_back_from_those_that_were_not_sent_them(pair):
    order_id, _ = pair.waiting()
    result = pair.bob("order", "withdraw", order_id[:12], "--reason", "wrong hosts")
    assert result.code == 0
    assert "Withdrawn from 501 devices" in result.out
    assert pair.simulator.requests("WithdrawOrder")[0].order_id == order_id
    assert "wrong hosts" in pair.alice("order", "show", order_id).out


def test_an_order_that_was_signed_by_nobody_is_shown_as_that(done_order):
    operator, _, kept = done_order
    kept.envelope = Envelope("command", kept.envelope.payload, (b"\x00" * 70,))
    result = operator("order", "show", kept.order.order_id)
    assert "nobody whose signature counts" in result.out
    value = json.loads(operator("order", "show", kept.order.order_id, "-o", "json").out)
    assert value["order"]["verified_signers"] == []
