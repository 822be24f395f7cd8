"""penguinctl trust: proposed by one, signed by others, published by anyone of them."""

import hashlib
import json
import subprocess
from dataclasses import replace
from pathlib import Path

import pytest

from penguinctl import signing
from penguindome import trust
from penguindome.openpgp import key_fingerprint
from penguindome.v1 import envelope_pb2

pytestmark = pytest.mark.timeout(120)


class Person:
    """An operator in a folder of their own, and the file of their key."""

    def __init__(self, ctl, name):
        self.ctl, self.name = ctl, name
        self.folder = ctl.home / name
        self.home = self.folder / "gnupg"

    def __call__(self, *words, **options):
        return self.ctl("--config-dir", str(self.folder), *words, **options)

    def json(self, *words):
        done = self(*words, "-o", "json")
        assert done.code == 0, done.err
        return json.loads(done.out)

    @property
    def key(self):
        gpg = ["gpg", "--homedir", str(self.home), "--batch", "--no-autostart"]
        export = ["--export", "--export-options", "export-minimal"]
        done = subprocess.run([*gpg, *export], check=True, capture_output=True, timeout=60)
        path = self.ctl.home / f"{self.name}.gpg"
        path.write_bytes(done.stdout)
        return str(path)

    @property
    def fingerprint(self):
        return key_fingerprint(Path(self.key).read_bytes())


def newest(simulator):
    return trust.from_payload(simulator.state.trust[-1].envelope.payload)


@pytest.fixture
def people(fresh, ctl):
    """Alice, who made the fleet, and Bob, who has not been added yet."""
    alice, bob = Person(ctl, "alice"), Person(ctl, "bob")
    assert alice("init", stdin=fresh.invitation()).code == 0
    digest = trust.document_hash(fresh.state.trust[0].envelope.payload)
    assert bob("init", stdin=fresh.invitation("bob", trust_hash=digest)).code == 0
    return alice, bob


@pytest.fixture
def pair(fresh, people):
    """Alice and Bob, both of whom have to sign."""
    alice, bob = people
    words = ("--add", f"bob={bob.key}", "--threshold", "root=2", "--yes")
    assert alice("trust", "propose", *words).code == 0
    signed = bob("trust", "sign", stdin="2\n")
    assert signed.code == 0, signed.err
    assert bob("trust", "publish").code == 0
    assert newest(fresh).roles["root"].threshold == 2
    return alice, bob


def test_what_one_may_not_decide_alone_becomes_a_proposal(fresh, pair):
    alice, bob = pair
    result = alice("trust", "renew")
    assert result.code == 0, result.err
    assert "nothing is published yet" in result.out
    assert "bob may sign: penguinctl trust sign" in result.out
    shown = bob.json("trust", "show")
    assert (shown["version"], shown["proposal"]["version"]) == (2, 3)
    assert shown["proposal"]["signed_by"] == ["alice"]
    assert shown["proposal"]["may_sign"] == ["bob"]
    early = bob("trust", "publish")
    assert (early.code, "has not signatures enough" in early.err) == (6, True)
    assert bob("trust", "sign", "--yes", "--hash", shown["proposal"]["hash"]).code == 0
    published = alice.json("trust", "publish")
    assert (published["version"], published["proposal"]) == (3, None)
    assert len(fresh.state.trust) == 3


def test_everything_that_takes_one_signature_is_published_at_once(fresh, people):
    alice, bob = people
    added = alice.json("trust", "add", "bob", "--key-file", bob.key, "--yes")
    assert (added["version"], added["proposal"]) == (2, None)
    assert added["recommended_thresholds"] == {"release": 2, "secrets": 2}


def test_a_further_operator_raises_what_is_recommended(fresh, people):
    alice, bob = people
    added = alice("trust", "add", "bob", "--key-file", bob.key, "--yes")
    assert "Recommended for this many operators: release 2 (now 1), secrets 2" in added.err
    assert "penguinctl trust propose --recommended" in added.err
    proposed = alice("trust", "propose", "--recommended", "--yes")
    assert "It has signatures enough: penguinctl trust publish" in proposed.out
    assert alice("trust", "publish").code == 0
    assert newest(fresh).roles["release"].threshold == 2
    assert alice.json("trust", "show")["recommended_thresholds"] == {}


def test_a_signer_sees_every_change_and_may_say_no(fresh, pair):
    alice, bob = pair
    words = ("--deny", "release=bob", "--threshold", "command=2", "--void-before-now", "--yes")
    assert alice("trust", "propose", *words).code == 0
    refused = bob("trust", "sign", stdin="no\n")
    assert (refused.code, "Nothing was done" in refused.err) == (6, True)
    for said in (
        "Role release: bob may sign no more.",
        "Role command: 2 signatures instead of 1 signature.",
        "VOID: everything that was signed before",
        "It is version 3 instead of 2.",
        "Signed by: alice",
    ):
        assert said in refused.err
    assert len(fresh.state.proposal.envelope.signatures) == 1


def test_signing_again_changes_nothing(fresh, pair):
    alice, _ = pair
    alice("trust", "renew")
    again = alice("trust", "sign", stdin="3\n")
    assert (again.code, "You signed it already" in again.err) == (0, True)
    assert len(fresh.state.proposal.envelope.signatures) == 1


def swapped(fresh, person, **changes):
    """Return a proposal like the present one with other bytes, signed by the same person."""
    document = trust.from_payload(fresh.state.proposal.envelope.payload)
    key = signing.SigningKey(person.fingerprint, person.home, own_home=True)
    payload = trust.to_payload(replace(document, **changes))
    made = signing.sign(key, trust.KIND, payload)
    wire = envelope_pb2.Envelope(kind=made.kind, payload=made.payload, signatures=made.signatures)
    found = type(fresh.state.proposal)()
    found.CopyFrom(fresh.state.proposal)
    found.envelope.CopyFrom(wire)
    return found


def test_nothing_is_signed_if_the_server_swaps_the_bytes_after_they_were_shown(fresh, pair):
    alice, bob = pair
    alice("trust", "renew")
    other = swapped(fresh, alice, minimum_agent="9.9")
    fresh.state.shown_next = [fresh.state.proposal, other]
    result = bob("trust", "sign", stdin="3\n")
    assert (result.code, "another one now" in result.err) == (7, True)
    assert [one.version for one in fresh.requests("SignProposal")] == [2]
    assert "9.9" not in result.err


def test_a_server_that_keeps_other_bytes_than_were_signed_is_found_out(fresh, pair):
    alice, bob = pair
    alice("trust", "renew")
    other = swapped(fresh, alice, minimum_agent="9.9")
    fresh.state.said_signed = other
    result = bob("trust", "sign", stdin="3\n")
    assert (result.code, "something else than what you signed" in result.err) == (7, True)


@pytest.mark.parametrize("change", ["another fleet", "skipped", "unknown field", "garbage"])
def test_a_proposal_that_does_not_continue_what_is_held_is_refused(fresh, pair, change):
    alice, bob = pair
    alice("trust", "renew")
    if change == "another fleet":
        fresh.state.proposal = swapped(fresh, alice, fleet="0" * 32)
    elif change == "skipped":
        fresh.state.proposal = swapped(fresh, alice, version=9)
    elif change == "garbage":
        fresh.state.proposal.envelope.payload = b"{"
    else:
        payload = json.loads(fresh.state.proposal.envelope.payload) | {"hidden": True}
        text = json.dumps(payload, sort_keys=True, separators=(",", ":"))
        fresh.state.proposal.envelope.payload = text.encode()
    result = bob("trust", "sign", stdin="3\n")
    assert (result.code, "cannot be signed" in result.err) == (7, True)
    shown = bob("trust", "show")
    assert (shown.code, "cannot be signed" in shown.err) == (0, True)
    # Whatever it says, it can be thrown away.
    assert bob("trust", "withdraw", "--reason", "strange").code == 0


def test_without_a_question_the_hash_has_to_be_given(fresh, pair):
    alice, bob = pair
    alice("trust", "renew")
    right = hashlib.sha256(fresh.state.proposal.envelope.payload).hexdigest()
    assert bob("trust", "sign", "--yes").code == 2
    for wrong in ("0" * 64, right[:15], right + "0"):
        result = bob("trust", "sign", "--yes", "--hash", wrong)
        assert (result.code, "another hash" in result.err) == (6, True)
    assert bob("trust", "sign", "--yes", "--hash", right[:16].upper()).code == 0


def test_something_else_is_not_pushed_aside_unasked(fresh, pair):
    alice, bob = pair
    assert alice("trust", "renew").code == 0
    for words in (("renew",), ("propose", "--renew", "--yes"), ("addresses", "--clear")):
        result = bob("trust", *words)
        assert (result.code, "already" in result.err) == (6, True)
        assert "penguinctl trust withdraw" in result.err
    replaced = bob("trust", "propose", "--deny", "shell=bob", "--yes", "--replace")
    assert replaced.code == 0, replaced.err
    assert alice.json("trust", "show")["proposal"]["signed_by"] == ["bob"]


def test_a_proposal_is_withdrawn(fresh, pair):
    alice, bob = pair
    for act in ("sign", "publish"):
        nothing = bob("trust", act, stdin="3\n")
        assert (nothing.code, "no trust document is proposed" in nothing.err) == (3, True)
    assert bob("trust", "withdraw", "--reason", "x").code == 3
    alice("trust", "renew")
    assert bob("trust", "withdraw").code == 2
    withdrawn = bob.json("trust", "withdraw", "--reason", "the wrong key")
    assert (withdrawn["version"], withdrawn["state"]) == (3, "withdrawn")
    assert alice.json("trust", "show")["proposal"] is None


def test_a_lost_key_is_replaced_and_the_old_one_counts_no_more(fresh, people):
    alice, bob = people
    alice("trust", "add", "bob", "--key-file", bob.key, "--yes")
    lost = bob.fingerprint
    made = Person(alice.ctl, "new")
    made.folder.mkdir()
    key = signing.make_key("bob", "0" * 32, made.home, ours=True, passphrase="")
    proposed = alice("trust", "propose", "--replace-key", f"bob={made.key}", "--yes")
    assert proposed.code == 0, proposed.err
    assert f"bob has another key: {key.fingerprint} instead of {lost}" in proposed.err
    assert alice("trust", "publish").code == 0
    assert bob("trust", "renew").code == 4
    assert newest(fresh).operators[key.fingerprint] == "bob"


def test_history_says_who_signed_what(fresh, pair):
    alice, bob = pair
    versions = alice.json("trust", "history")["versions"]
    assert [one["version"] for one in versions] == [2, 1]
    assert versions[0]["signed_by"] == ["alice", "bob"]
    assert f"bob joins, with the key {bob.fingerprint}." in versions[0]["changes"]
    assert "Role root: 2 signatures instead of 1 signature." in versions[0]["changes"]
    table = alice("trust", "history").out
    assert "Version 2, " in table
    assert "Signed by: alice, bob" in table
    assert alice("trust", "history", "--columns", "version", "-o", "csv").out.split() == [
        "version",
        "2",
        "1",
    ]


@pytest.mark.parametrize(
    ("words", "code", "said"),
    [
        ((), 2, "--renew for nothing but another year"),
        (("--threshold", "root"), 2, "write ROLE=N"),
        (("--threshold", "root=many"), 2, "Give e.g. wipe=2"),
        (("--threshold", "king=1"), 2, "There are: root, release"),
        (("--threshold", "root=0"), 6, "less than 1"),
        (("--threshold", "root=2"), 6, "too few operators would be left for root"),
        (("--remove", "alice"), 6, "too few operators would be left"),
        (("--remove", "bob"), 3, "no such operator"),
        (("--grant", "root=alice"), 6, "has the role root already"),
        (("--deny", "root=alice"), 6, "too few operators would be left for root"),
        (("--add", "bob=/nowhere"), 2, "cannot be read"),
        (("--add", "bob=/etc/hostname"), 2, "OpenPGP"),
    ],
)
def test_what_cannot_be_proposed_is_refused_with_a_remedy(simulator, operator, words, code, said):
    result = operator("trust", "propose", *words, "--yes")
    assert (result.code, said in result.err) == (code, True), result.err
    assert simulator.requests("ProposeTrust") == []
