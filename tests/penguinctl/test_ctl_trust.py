"""penguinctl trust: seen and renewed by the operator whose key is in it."""

import json
import subprocess
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from penguinctl import signing
from penguindome import trust
from penguindome.openpgp import key_fingerprint
from penguindome.v1 import envelope_pb2
from tests.penguinctl import samples
from tests.penguinctl.server_simulator import Simulator


def document(simulator, place=-1):
    return trust.from_payload(simulator.state.trust[place].envelope.payload)


def republish(simulator, ctl, **changes):
    """Put another first version in the place of the one that `ctl` made, and have it pinned."""
    made = replace(document(simulator), **changes)
    key = signing.SigningKey(next(iter(made.keys)), ctl.profile / "gnupg", own_home=True)
    envelope = signing.sign(key, trust.KIND, trust.to_payload(made))
    wire = envelope_pb2.Envelope(
        kind=envelope.kind, payload=envelope.payload, signatures=envelope.signatures
    )
    simulator.state.trust = [envelope_pb2.TrustDocument(version=1, envelope=wire)]
    (ctl.profile / "trust" / "1.json").unlink()
    done = ctl("init", "--trust-hash", trust.document_hash(envelope.payload).hex())
    assert done.code == 0, done.err


def test_show_tells_who_may_sign_and_until_when(simulator, operator):
    shown = json.loads(operator("trust", "show", "-o", "json").out)
    held = document(simulator)
    assert shown["version"] == held.version
    assert shown["roles"]["root"] == {"threshold": 1, "operators": ["alice"]}
    assert [one["name"] for one in shown["operators"]] == ["alice"]
    table = operator("trust", "show")
    assert shown["hash"] in table.out
    assert "Role approve:" in table.out
    assert "One stolen root key is enough" in table.err
    assert "enrolling every device again" in table.err
    assert shown["warnings"][0] in table.err
    assert shown["proposal"] is None


def test_renewed_by_root_the_next_version_continues_the_chain(fresh, ctl):
    ctl("init", stdin=fresh.invitation())
    result = ctl("trust", "renew")
    assert result.code == 0, result.err
    assert "Trust document 2 is signed and published" in result.out
    first, second = document(fresh, 0), document(fresh, 1)
    item = fresh.state.trust[1].envelope
    envelope = trust.Envelope(item.kind, item.payload, tuple(item.signatures))
    assert trust.accept_next(first, envelope, datetime.now(UTC)) == second
    assert (ctl.profile / "trust" / "2.json").exists()
    pinned = json.loads(ctl("server", "status", "-o", "json").out)["pinned_trust_hash"]
    assert pinned == trust.document_hash(item.payload).hex()


def test_a_key_whose_end_was_moved_is_renewed_too(fresh, ctl):
    ctl("init", stdin=fresh.invitation())
    (fingerprint,) = document(fresh).keys
    gpg = ["gpg", "--homedir", str(ctl.profile / "gnupg"), "--batch", "--pinentry-mode", "loopback"]
    move = ["--passphrase", "", "--quick-set-expire", fingerprint, "2y"]
    subprocess.run([*gpg, *move], check=True, capture_output=True, timeout=60)
    assert ctl("trust", "renew").code == 0
    assert document(fresh, 0).keys != document(fresh, 1).keys


def test_a_lost_answer_is_mended_by_running_again(fresh, ctl):
    ctl("init", stdin=fresh.invitation())
    fresh.lose_answer_of = {"PublishTrust"}
    assert ctl("trust", "renew").code == 5
    result = ctl("trust", "renew")
    assert result.code == 0, result.err
    assert document(fresh).version == len(fresh.state.trust) == 3


@pytest.mark.parametrize(("days", "words"), [(59, "ends in"), (-1, "ended 1 d ago")])
def test_operators_are_warned_before_and_after_the_end(fresh, ctl, days, words):
    ctl("init", stdin=fresh.invitation())
    now = datetime.now(UTC).replace(microsecond=0)
    issued = now - timedelta(days=365)
    changes = {"issued_time": issued, "ticket_floor_time": issued}
    republish(fresh, ctl, **changes, expires_time=now + timedelta(days=days))
    for command in (["trust", "show"], ["token", "create"]):
        result = ctl(*command)
        assert result.code == 0, result.err
        assert words in result.err
        assert "penguinctl trust renew" in result.err
    assert ctl("trust", "renew").code == 0
    assert "trust renew" not in ctl("token", "create").err


def test_only_root_renews(fresh, ctl):
    pinned = ctl("init", stdin=fresh.invitation()).err
    assert pinned
    digest = trust.document_hash(fresh.state.trust[0].envelope.payload)
    bob = ["--config-dir", str(ctl.home / "bob")]
    ctl(*bob, "init", stdin=fresh.invitation("bob", trust_hash=digest))
    result = ctl(*bob, "trust", "renew")
    assert (result.code, "Ask one who has it: alice" in result.err) == (4, True)
    assert len(fresh.state.trust) == 1


@pytest.fixture
def pair(fresh, ctl):
    """Alice, who made the fleet, and Bob with the file of his key."""
    ctl("init", stdin=fresh.invitation())
    digest = trust.document_hash(fresh.state.trust[0].envelope.payload)

    def bob(*words, **options):
        return ctl("--config-dir", str(ctl.home / "bob"), *words, **options)

    bob("init", stdin=fresh.invitation("bob", trust_hash=digest))
    home = str(ctl.home / "bob" / "gnupg")
    gpg = ["gpg", "--homedir", home, "--batch", "--no-autostart"]
    export = ["--export", "--export-options", "export-minimal"]
    done = subprocess.run([*gpg, *export], check=True, capture_output=True, timeout=60)
    path = ctl.home / "bob.gpg"
    path.write_bytes(done.stdout)
    return bob, str(path)


def test_an_operator_joins_and_may_sign(fresh, ctl, pair):
    bob, path = pair
    samples.fill(fresh.state)
    refused = ctl("trust", "add", "bob", "--key-file", path, stdin="robert\n")
    assert (refused.code, len(fresh.state.trust)) == (6, 1)
    added = ctl("trust", "add", "bob", "--key-file", path, stdin="bob\n")
    assert added.code == 0, added.err
    fingerprint = key_fingerprint(Path(path).read_bytes())
    assert fingerprint in added.err
    assert document(fresh).operators[fingerprint] == "bob"
    assert bob("trust", "renew").code == 0
    assert ctl("trust", "add", "bob", "--key-file", path, "--yes").code == 6


def test_an_operator_is_removed_but_not_by_themselves(fresh, ctl, pair):
    bob, path = pair
    assert ctl("trust", "add", "bob", "--key-file", path, "--yes").code == 0
    itself = bob("trust", "remove", "bob", "--yes")
    assert (itself.code, "alice may sign: penguinctl trust sign" in itself.out) == (0, True)
    assert len(fresh.state.trust) == 2
    # One signature suffices for what alice wants, whatever is proposed.
    removed = json.loads(ctl("trust", "remove", "bob", "--yes", "-o", "json").out)
    assert [one["name"] for one in removed["operators"]] == ["alice"]
    assert bob("trust", "renew").code == 4
    assert ctl("trust", "remove", "bob", "--yes").code == 3
    assert ctl("trust", "remove", "alice", "--yes").code == 6


def test_a_file_that_is_no_key_is_refused(fresh, ctl, pair):
    path = ctl.home / "armored"
    path.write_text("-----BEGIN PGP PUBLIC KEY BLOCK-----\n")
    result = ctl("trust", "add", "bob", "--key-file", str(path), "--yes")
    assert (result.code, "without --armor" in result.err) == (2, True)


def test_the_document_of_another_fleet_is_not_adopted(fresh, ctl):
    ctl("init", stdin=fresh.invitation())
    other = Simulator().start()
    try:
        other.state.trust = fresh.state.trust
        digest = trust.document_hash(fresh.state.trust[0].envelope.payload)
        line = other.invitation(trust_hash=digest)
        result = ctl("--config-dir", str(ctl.home / "other"), "init", stdin=line)
    finally:
        other.stop()
    assert (result.code, "another fleet's" in result.err) == (7, True)
    assert not (ctl.home / "other" / "trust").exists()
