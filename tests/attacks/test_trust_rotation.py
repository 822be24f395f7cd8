"""Trust documents that must never follow, offered to a real server and to a real agent.

The fleet's root role is two of alice, bob and carol. The attacker has the server with its keys,
mallory's OpenPGP key, and in some cases one root key.
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import replace
from datetime import timedelta

import pytest

from penguindome.envelope import Envelope, signed_bytes
from penguindome.strict_json import canonical_json
from penguindome.tokens import decode_token, encode_token
from penguindome.trust import Role, from_payload, renewed, to_payload
from penguindome.v1 import bootstrap_pb2 as boot
from penguindome.v1 import envelope_pb2, trust_pb2, trust_pb2_grpc
from tests.attacks.kit.evil_server import EvilServer, relays
from tests.attacks.kit.keys import Identity, StolenKeys
from tests.attacks.kit.wire import Wire, refusal
from tests.harness.fleet import Fleet
from tests.penguindome.signing import Home, gpg_home

pytestmark = pytest.mark.timeout(180)
SERVICE = "/penguindome.v1.BootstrapService/"
CHAIN = SERVICE + "GetTrustChain"
ALL = [SERVICE + name for name in ("Begin", "GetTrustChain", "Enroll", "RenewDevice")]
ROOTS = ("alice", "bob", "carol")
DAY = timedelta(days=1)


class Scene:
    """A fleet whose root role is two of three, and everybody's keys."""

    def __init__(self, fleet, home):
        self.fleet = fleet
        self.keys = {name: home.make(name) for name in ("bob", "carol", "mallory")}
        self.homes = dict.fromkeys(self.keys, home)
        self.homes["alice"] = Home(fleet.alice.folder / "gnupg")
        (first,) = self.chain().documents
        (self.keys["alice"],) = from_payload(first.envelope.payload).keys
        self.publish(2, self.signed(to_payload(self.three(first)), "alice", "bob", "carol"))
        self.current = from_payload(self.chain().documents[-1].envelope.payload)

    def three(self, first):
        document = from_payload(first.envelope.payload)
        role = Role(2, tuple(self.keys[name] for name in ROOTS))
        return replace(
            renewed(document, document.issued_time),
            keys={self.keys[name]: self.blob(name) for name in ROOTS},
            operators={self.keys[name]: name for name in ROOTS},
            roles=dict.fromkeys(document.roles, role),
        )

    def blob(self, name):
        return self.homes[name].export(self.keys[name])

    def signed(self, payload, *names, kind="trust"):
        data = signed_bytes(kind, payload)
        return Envelope(
            kind, payload, tuple(self.homes[name].sign(self.keys[name], data) for name in names)
        )

    @property
    def stolen(self):
        return StolenKeys(self.fleet.server.folder / "state")

    def chain(self):
        wire = Wire(self.fleet.server, self.stolen.anchor)
        try:
            answer = relays(wire.bootstrap(), CHAIN)[CHAIN](b"")
        finally:
            wire.close()
        return boot.GetTrustChainResponse.FromString(answer)

    def act(self, method, request):
        """Call the server as alice, who is an admin."""
        profile = self.fleet.alice.folder / "config/penguinctl"
        read = [(profile / name).read_bytes() for name in ("key.pem", "certificate.pem")]
        wire = Wire(self.fleet.server, self.stolen.anchor)
        try:
            stub = trust_pb2_grpc.TrustServiceStub(wire.main(Identity(*read)))
            return getattr(stub, method)(request, timeout=15)
        finally:
            wire.close()

    def publish(self, version, envelope):
        document = envelope_pb2.TrustDocument(version=version, envelope=message(envelope))
        self.act("PublishTrust", trust_pb2.PublishTrustRequest(document=document))

    def propose(self, version, envelope):
        newest = self.chain().documents[-1].envelope.payload
        document = envelope_pb2.TrustDocument(version=version, envelope=message(envelope))
        request = trust_pb2.ProposeTrustRequest(
            document=document, base_sha256=hashlib.sha256(newest).digest()
        )
        self.act("ProposeTrust", request)

    def next(self, *names, threshold=2, **changes):
        """Return a next version with these people as its only root keys."""
        people = names or ROOTS
        role = Role(threshold, tuple(self.keys[name] for name in people))
        document = replace(
            renewed(self.current, self.current.issued_time),
            keys={self.keys[name]: self.blob(name) for name in people},
            operators={self.keys[name]: name for name in people},
            roles=dict.fromkeys(self.current.roles, role),
        )
        return to_payload(replace(document, **changes))

    def edited(self, change):
        """Return a next version whose JSON was changed behind the back of what writes it."""
        value = json.loads(self.next())
        change(value)
        return canonical_json(value)


def message(envelope):
    return envelope_pb2.Envelope(
        kind=envelope.kind, payload=envelope.payload, signatures=envelope.signatures
    )


@pytest.fixture(scope="module")
def scene():
    with Fleet() as fleet, gpg_home() as home:
        yield Scene(fleet, home)


def root(value):
    return value["roles"]["root"]


def wrong_blob(value):
    first, second, *_ = sorted(value["keys"])
    value["keys"][first] = value["keys"][second]


def two_keys_of_one(value):
    value["operators"] = dict.fromkeys(value["operators"], "alice")


def unrooted(value):
    del value["roles"]["root"]


# What is offered, and who signed it.
CASES = {
    "a version is skipped": (lambda s: s.next(version=4), ("alice", "bob")),
    "the same version again": (lambda s: s.next(version=2), ("alice", "bob")),
    "only the new keys signed": (lambda s: s.next("mallory", threshold=1), ("mallory",)),
    "the new keys did not sign": (lambda s: s.next("carol", "mallory"), ("alice", "bob")),
    "one of two signed": (lambda s: s.next(), ("alice",)),
    "one signed twice": (lambda s: s.next(), ("alice", "alice")),
    "one signed with a stranger": (lambda s: s.next(), ("alice", "mallory")),
    "nobody signed": (lambda s: s.next(), ()),
    "another fleet's": (lambda s: s.next(fleet="0" * 32), ("alice", "bob")),
    "issued before the present one": (
        lambda s: s.next(issued_time=s.current.issued_time - DAY),
        ("alice", "bob"),
    ),
    "what was void would be good again": (
        lambda s: s.next(ticket_floor_time=s.current.ticket_floor_time - DAY),
        ("alice", "bob"),
    ),
    "issued in the future": (
        lambda s: s.next(issued_time=s.current.issued_time + 9 * DAY),
        ("alice", "bob"),
    ),
    "a threshold of 0": (
        lambda s: s.edited(lambda v: root(v).update(threshold=0)),
        ("alice", "bob"),
    ),
    "a threshold above the keys": (
        lambda s: s.edited(lambda v: root(v).update(threshold=4)),
        ("alice", "bob"),
    ),
    "a key twice in the role": (
        lambda s: s.edited(lambda v: root(v).update(fingerprints=root(v)["fingerprints"][:1] * 2)),
        ("alice", "bob"),
    ),
    "a key under another's fingerprint": (lambda s: s.edited(wrong_blob), ("alice", "bob")),
    "two keys of one operator": (lambda s: s.edited(two_keys_of_one), ("alice", "bob")),
    "no root role": (lambda s: s.edited(unrooted), ("alice", "bob")),
}
# These could still become good, by the signatures that they lack; so they may be proposed.
INCOMPLETE = {
    "one of two signed",
    "one signed twice",
    "only the new keys signed",
    "the new keys did not sign",
}


def envelope_of(scene, case):
    payload, names = CASES[case]
    return scene.signed(payload(scene), *names)


@pytest.mark.parametrize("case", CASES)
def test_server_publishes_no_document_that_must_not_follow(scene, case):
    envelope = envelope_of(scene, case)
    version = json.loads(envelope.payload)["version"]
    before = scene.chain()
    refused = refusal(scene.publish, version, envelope)
    assert refused.code != "internal"
    if case in INCOMPLETE:
        assert refused.code == "not-signed"
    else:
        assert refusal(scene.propose, version, envelope).code != "internal"
    assert scene.chain() == before


@pytest.mark.parametrize("case", CASES)
def test_agent_believes_no_document_that_must_not_follow(scene, case):
    added = message(envelope_of(scene, case))
    assert said_of(scene, lambda chain: chain.documents.add(version=3, envelope=added)) == "refused"


def said_of(scene, change):
    """Return what an agent makes of the honest chain with a change, while it enrolls."""
    wire = Wire(scene.fleet.server, scene.stolen.anchor)
    honest = relays(wire.bootstrap(), *ALL)
    chain = scene.chain()
    change(chain)
    token = decode_token(scene.fleet.alice.token())
    agent = scene.fleet.device(plugins=scene.fleet.plugins())
    answer = chain.SerializeToString()
    try:
        with EvilServer(scene.stolen.server, {**honest, CHAIN: lambda _: answer}) as evil:
            line = encode_token(replace(token, bootstrap_port=evil.port))
            done = agent.try_run("enroll", standard_input=line + "\n")
    finally:
        wire.close()
    kept = list((agent.folder / "state/trust").glob("*.json"))
    if kept:
        return f"believed {max(int(path.stem) for path in kept)}"
    assert "Enroll" not in evil.methods()
    assert done.returncode != 0
    said = done.stdout + done.stderr
    return "refused" if "refused" in said or "malformed" in said else said


def test_agent_does_not_go_back_to_an_older_version(scene):
    def rolled_back(chain):
        chain.documents.add().CopyFrom(chain.documents[0])

    assert said_of(scene, rolled_back) == "refused"


def test_server_does_not_go_back_to_an_older_version(scene):
    for document in scene.chain().documents:
        item = document.envelope
        envelope = Envelope(item.kind, item.payload, tuple(item.signatures))
        refusal(scene.publish, document.version, envelope)
        refusal(scene.propose, document.version, envelope)


def test_signatures_glued_into_one_and_those_of_another_kind_do_not_count(scene):
    good = scene.signed(scene.next(), "alice", "bob")
    glued = replace(good, signatures=(b"".join(good.signatures),))
    other = scene.signed(good.payload, "alice", "bob", kind="release")
    for envelope in (glued, other, replace(other, kind="trust")):
        refusal(scene.publish, 3, envelope)
        added = message(envelope)
        said = said_of(scene, lambda chain, m=added: chain.documents.add(version=3, envelope=m))
        assert said == "refused"


def test_what_may_follow_does(scene):
    """The control: two of three suffice, for server and agent."""
    envelope = scene.signed(scene.next(), "bob", "carol")
    scene.publish(3, envelope)
    assert said_of(scene, lambda _: None) == "believed 3"
