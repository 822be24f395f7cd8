"""Proposals of the trust document, over the wire, with real keys."""

from __future__ import annotations

import asyncio
import hashlib
from dataclasses import replace
from datetime import timedelta

import pytest

from penguindome.envelope import Envelope, signed_bytes
from penguindome.times import utc_now
from penguindome.trust import Role, renewed
from penguindome.v1 import envelope_pb2, ledger_pb2, ledger_pb2_grpc, trust_pb2, trust_pb2_grpc
from tests.harness.serving import refusal, running
from tests.penguindome.signing import Fleet, gpg_home

ROOTS = ("alice", "bob")


@pytest.fixture(scope="module")
def signers():
    with gpg_home() as home:
        yield Fleet(home)


def digest(envelope):
    return hashlib.sha256(envelope.payload).digest()


def wire(envelope):
    return envelope_pb2.Envelope(
        kind=envelope.kind, payload=envelope.payload, signatures=envelope.signatures
    )


class Desk:
    """What one operator does about trust."""

    def __init__(self, server, who):
        self.stub = trust_pb2_grpc.TrustServiceStub(server.channel(who))

    async def publish(self, version, envelope):
        document = envelope_pb2.TrustDocument(version=version, envelope=wire(envelope))
        await self.stub.PublishTrust(trust_pb2.PublishTrustRequest(document=document))

    async def propose(self, version, envelope, base):
        document = envelope_pb2.TrustDocument(version=version, envelope=wire(envelope))
        request = trust_pb2.ProposeTrustRequest(document=document, base_sha256=digest(base))
        return (await self.stub.ProposeTrust(request)).proposal

    async def sign(self, version, envelope, signature):
        request = trust_pb2.SignProposalRequest(
            version=version, payload_sha256=digest(envelope), signature=signature
        )
        return (await self.stub.SignProposal(request)).proposal

    async def withdraw(self, version, envelope, reason="a mistake"):
        request = trust_pb2.WithdrawProposalRequest(
            version=version, payload_sha256=digest(envelope), reason=reason
        )
        await self.stub.WithdrawProposal(request)

    async def get(self):
        answer = await self.stub.GetProposal(trust_pb2.GetProposalRequest())
        return answer.proposal if answer.HasField("proposal") else None


def in_server(mongo_uri, signers, story):
    """Run a story in a fleet whose root role is two of alice and bob."""

    async def run():
        async with asyncio.timeout(60), running(mongo_uri) as server:
            signers.id = server.settings.server.fleet_id
            signers.now = utc_now().replace(microsecond=0)
            first = signers.document(*ROOTS, threshold=2)
            desk = Desk(server, await server.operator())
            envelope = signers.publish(first, *ROOTS)
            await desk.publish(1, envelope)
            await story(server, desk, first, envelope)

    asyncio.run(run())


def signature(signers, envelope, name):
    return signers.home.sign(signers.keys[name], signed_bytes(envelope.kind, envelope.payload))


def test_a_proposal_that_two_sign_is_published(mongo_uri, signers):
    async def story(server, desk, first, base):
        assert await desk.get() is None
        proposed = signers.publish(renewed(first, signers.now), "alice")
        stored = await desk.propose(2, proposed, base)
        assert (stored.version, stored.proposed_by) == (2, "alice")
        assert stored.envelope == wire(proposed)
        bobs = signature(signers, proposed, "bob")
        signed = await desk.sign(2, proposed, bobs)
        assert list(signed.envelope.signatures) == [*proposed.signatures, bobs]
        assert await desk.get() == signed
        whole = Envelope("trust", proposed.payload, tuple(signed.envelope.signatures))
        await desk.publish(2, whole)
        assert await desk.get() is None
        assert await server.database.db["trust_proposals"].count_documents({}) == 0

    in_server(mongo_uri, signers, story)


def test_what_could_never_follow_is_not_kept(mongo_uri, signers):
    async def story(server, desk, first, base):
        good = renewed(first, signers.now)
        cases = [
            (replace(good, version=3), ("alice",), "wrong-version"),
            (replace(good, version=1), ("alice",), "wrong-version"),
            (replace(good, fleet="0" * 32), ("alice",), "wrong-fleet"),
            (good, (), "not-signed"),
            (good, ("mallory",), "not-signed"),
            (good, ("alice", "mallory"), "not-signed"),
            (
                replace(good, ticket_floor_time=signers.now - timedelta(days=1)),
                ("alice",),
                "trust-rollback",
            ),
        ]
        for document, names, code in cases:
            envelope = signers.publish(document, *names)
            found = await refusal(desk.propose(document.version, envelope, base))
            assert found.code == code
        other_bytes = Envelope("trust", b"{}", signers.publish(good, "alice").signatures)
        assert (await refusal(desk.propose(2, other_bytes, base))).code == "bad-payload"
        marked = signers.sign("command", signers.publish(good).payload, "alice")
        assert (await refusal(desk.propose(2, marked, base))).code == "wrong-kind"
        proposed = signers.publish(good, "alice")
        assert (await refusal(desk.propose(2, proposed, proposed))).code == "wrong-base"
        assert (await refusal(desk.propose(3, proposed, base))).code == "invalid-input"
        assert await desk.get() is None

    in_server(mongo_uri, signers, story)


def test_a_signature_counts_once_and_only_over_these_bytes(mongo_uri, signers):
    async def story(server, desk, first, base):
        proposed = signers.publish(renewed(first, signers.now), "alice")
        await desk.propose(2, proposed, base)
        elsewhere = signers.publish(renewed(first, signers.now + timedelta(hours=1)), "bob")
        refused = [
            signature(signers, proposed, "mallory"),
            elsewhere.signatures[0],
            b"",
            b"x" * 5000,
            proposed.signatures[0][:-1],
        ]
        for each in refused:
            assert (await refusal(desk.sign(2, proposed, each))).code == "not-signed"
        changed = await refusal(desk.sign(2, elsewhere, elsewhere.signatures[0]))
        assert changed.code == "proposal-changed"
        absent = await refusal(desk.sign(3, proposed, proposed.signatures[0]))
        assert absent.code == "not-found"
        again = [signature(signers, proposed, "alice") for _ in range(3)]
        for each in again:
            assert len((await desk.sign(2, proposed, each)).envelope.signatures) == 1
        both = [signature(signers, proposed, "bob") for _ in range(8)]
        await asyncio.gather(*(desk.sign(2, proposed, each) for each in both))
        assert len((await desk.get()).envelope.signatures) == 2

    in_server(mongo_uri, signers, story)


def test_a_key_of_the_new_root_role_may_propose_and_sign(mongo_uri, signers):
    async def story(server, desk, first, base):
        names = ("bob", "carol")
        roots = Role(2, tuple(signers.keys[one] for one in names))
        following = signers.document(*names, threshold=2, version=2)
        assert following.roles["root"] == roots
        proposed = signers.publish(following, "carol")
        await desk.propose(2, proposed, base)
        for name in ("alice", "bob"):
            await desk.sign(2, proposed, signature(signers, proposed, name))
        held = (await desk.get()).envelope
        await desk.publish(2, Envelope("trust", held.payload, tuple(held.signatures)))
        assert [version for version, _ in await server.stores.trust.after(0)] == [1, 2]

    in_server(mongo_uri, signers, story)


def test_another_proposal_takes_the_place_and_the_same_one_again_only_adds(mongo_uri, signers):
    async def story(server, desk, first, base):
        one = signers.publish(renewed(first, signers.now), "alice")
        await desk.propose(2, one, base)
        await desk.sign(2, one, signature(signers, one, "bob"))
        assert len((await desk.propose(2, one, base)).envelope.signatures) == 2
        other = signers.publish(renewed(first, signers.now + timedelta(hours=1)), "bob")
        replaced = await desk.propose(2, other, base)
        assert replaced.envelope == wire(other)
        late = await refusal(desk.sign(2, one, signature(signers, one, "alice")))
        assert late.code == "proposal-changed"

    in_server(mongo_uri, signers, story)


def test_a_proposal_from_another_base_is_neither_shown_nor_replaced(mongo_uri, signers):
    async def story(server, desk, first, base):
        proposed = signers.publish(renewed(first, signers.now), "alice")
        await desk.propose(2, proposed, base)
        proposals = server.database.db["trust_proposals"]
        await proposals.update_one({"_id": 2}, {"$set": {"base": b"another"}})
        assert await desk.get() is None
        assert (await refusal(desk.propose(2, proposed, base))).code == "wrong-base"

    in_server(mongo_uri, signers, story)


def test_a_proposal_is_withdrawn_with_a_reason_and_the_ledger_has_all_of_it(mongo_uri, signers):
    async def story(server, desk, first, base):
        proposed = signers.publish(renewed(first, signers.now), "alice")
        await desk.propose(2, proposed, base)
        await desk.sign(2, proposed, signature(signers, proposed, "bob"))
        assert (await refusal(desk.withdraw(2, base))).code == "proposal-changed"
        assert (await refusal(desk.withdraw(2, proposed, " "))).code == "invalid-input"
        await desk.withdraw(2, proposed)
        assert await desk.get() is None
        assert (await refusal(desk.withdraw(2, proposed))).code == "not-found"
        ledger = ledger_pb2_grpc.LedgerServiceStub(server.channel(await server.operator("eve")))
        rows = (await ledger.ListLedger(ledger_pb2.ListLedgerRequest(limit=100))).rows
        acts = {row.action: row.details for row in rows if row.action.startswith("trust.")}
        hexadecimal = digest(proposed).hex().encode()
        for action in ("trust.propose", "trust.sign", "trust.withdraw"):
            assert hexadecimal in acts[action]
        assert b"a mistake" in acts["trust.withdraw"]

    in_server(mongo_uri, signers, story)


def test_only_those_who_act_may_propose_and_every_operator_may_look(mongo_uri, signers):
    async def story(server, desk, first, base):
        proposed = signers.publish(renewed(first, signers.now), "alice")
        viewer = Desk(server, await server.operator("vera", ["viewer"]))
        assert await viewer.get() is None
        propose = await refusal(viewer.propose(2, proposed, base))
        sign = await refusal(viewer.sign(2, proposed, b"x"))
        withdraw = await refusal(viewer.withdraw(2, proposed))
        assert {propose.code, sign.code, withdraw.code} == {"role-missing"}

    in_server(mongo_uri, signers, story)
