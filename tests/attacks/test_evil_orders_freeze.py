"""A server that was taken over keeps news from a device, or swaps what the trust document says."""

from __future__ import annotations

import base64
import json
from dataclasses import replace
from datetime import timedelta

import pytest

from penguindome.envelope import Envelope, signed_bytes
from penguindome.times import utc_now
from penguindome.trust import Role, SecretKey, from_payload, to_payload
from penguindome.v1 import agent_pb2
from tests.attacks.kit.world import world_of
from tests.penguin_agent.agent_process import eventually
from tests.penguindome.signing import gpg_home

pytestmark = pytest.mark.timeout(240)


def asked_to_collect(world, request_id):
    """Return the report that answers a wish to collect."""
    world.server.push(collect_now=agent_pb2.CollectNow(request_id=request_id))
    stored = world.server.device.model.stored
    return eventually(lambda: next((r for r in stored if r.request_id == request_id), None))


def test_a_device_without_news_obeys_nobody_in_the_end_and_goes_on_reporting(operators):
    with world_of(operators) as world:
        ends = utc_now().replace(microsecond=0) + timedelta(seconds=6)
        world.publish(world.roles(expires_time=ends))
        world.control()
        assert not world.agent.status()["trust"]["expired"]
        # The honest next version exists, and is withheld.
        renewed = world.roles(expires_time=ends + timedelta(days=300))
        eventually(lambda: utc_now() > ends + timedelta(seconds=1))
        for kind, names in (
            ("command", ["alice"]),
            ("patch", ["alice", "bob"]),
            ("release", ["alice", "bob"]),
            ("cancel-command", ["alice"]),
            ("wipe", ["alice", "bob"]),
        ):
            assert world.code(world.signed(kind, *names)) == "trust-expired"
        assert asked_to_collect(world, "frozen")
        assert world.agent.status()["connected"]
        assert world.agent.status()["trust"]["expired"]
        assert "none is obeyed: the trust document ended" in world.agent.run("status")
        # Whoever renews it sets the device free.
        world.publish(renewed)
        world.control()


def evil_documents(world, evil, evil_blob):
    """Yield documents that would give the attacker power, with whose signatures they carry."""
    following = world.roles()
    version = {"version": following.version}
    mine = replace(
        following,
        keys={**following.keys, evil: evil_blob},
        operators={**following.operators, evil: "evil"},
        roles={**following.roles, "command": Role(1, (evil,))},
        **version,
    )
    yield "a key added to a role", mine
    swapped = SecretKey("k1", evil_blob, "0" * 64)
    yield "another secret-keeping key", replace(following, secret_keys=(swapped,), **version)
    yield "no secret-keeping key", replace(following, secret_keys=(), **version)
    yield (
        "a lower threshold",
        replace(
            following,
            roles={name: replace(role, threshold=1) for name, role in following.roles.items()},
            **version,
        ),
    )
    early = following.issued_time - timedelta(days=400)
    yield "an earlier floor", replace(following, ticket_floor_time=early, **version)
    late = following.expires_time + timedelta(days=4000)
    yield "a later end", replace(following, expires_time=late, **version)
    yield (
        "all root",
        replace(mine, roles=dict.fromkeys(following.roles, Role(1, (evil,))), **version),
    )


def test_what_the_trust_document_says_is_swapped_by_nobody_but_its_operators(world):
    with gpg_home() as home:
        evil = home.make("evil")
        keeper = SecretKey("k1", home.export(home.make("keeper")), "f" * 64)
        world.publish(world.roles(secret_keys=(keeper,)))
        kept = world.trust_version()
        for what, document in evil_documents(world, evil, home.export(evil)):
            payload = to_payload(document)
            own = home.sign(evil, signed_bytes("trust", payload))
            former = world.server.chain[-1].signatures
            for signatures in ((), (own,), former, (own, *former)):
                forged = Envelope("trust", payload, signatures)
                world.server.announce(*world.server.chain, forged, version=kept + 1)
            order = world.payload()
            signature = home.sign(evil, signed_bytes("command", order))
            world.refused(Envelope("command", order, (signature,)))
            assert world.trust_version() == kept, what
        # Without the last version, or with another one in its place.
        world.server.announce(*world.server.chain[:-1], version=kept + 1)
        world.control()
        on_disk = json.loads((world.agent.state / "trust" / f"{kept}.json").read_bytes())
        document = from_payload(base64.b64decode(on_disk["payload"]))
        assert document.secret_keys == (keeper,)
    world.server.announce()
    # The control: operators swap it.
    world.publish(world.roles(secret_keys=()))
    world.control()


@pytest.mark.parametrize(
    ("least", "acts"),
    [
        ("0", True),
        ("0.0.9", True),
        ("0.1.0", True),
        ("0.1.1", False),
        ("0.10", False),
        ("1", False),
    ],
)
def test_an_agent_that_operators_call_too_old_does_not_act(world, least, acts):
    world.publish(world.roles(minimum_agent=least))
    if acts:
        world.control()
    else:
        assert world.code(world.signed()) == "agent-too-old"
    world.publish(world.roles(minimum_agent=""))
    world.control()
