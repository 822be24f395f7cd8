"""What the ledger says of acts: what was asked, before; what came of it, after."""

from __future__ import annotations

import asyncio
import hashlib
import json

import pytest

from penguindome.tokens import hash_secret
from penguindome.v1 import (
    device_pb2,
    envelope_pb2,
    issue_pb2,
    issue_pb2_grpc,
    token_pb2,
    token_pb2_grpc,
    trust_pb2,
    trust_pb2_grpc,
)
from tests.harness.serving import refusal, running
from tests.penguindome.signing import Fleet, gpg_home


def in_server(mongo_uri, story):
    async def run():
        async with asyncio.timeout(60), running(mongo_uri) as server:
            await story(server)

    asyncio.run(run())


async def rows(server, action):
    """Return (action, target, details) of the rows of one act, oldest first."""
    found = await server.stores.ledger.after(0, 1000)
    return [
        (one.action, one.target, json.loads(one.details))
        for one in found
        if one.action.startswith(action)
    ]


def test_a_created_token_is_named_after_the_act(mongo_uri):
    async def story(server):
        alice = await server.operator()
        stub = token_pb2_grpc.TokenServiceStub(server.channel(alice))
        request = token_pb2.CreateTokenRequest(max_uses=3, ttl_seconds=600, labels=["eng"])
        made = await stub.CreateToken(request)
        before, after = await rows(server, "token.create")
        assert before[:2] == ("token.create", "")
        assert (before[2]["max_uses"], before[2]["labels"]) == (3, ["eng"])
        assert after == ("token.create.done", made.token_id.hex(), {})
        text = str(await rows(server, ""))
        assert made.secret.hex() not in text
        assert hash_secret(made.secret).hex() not in text

    in_server(mongo_uri, story)


def test_a_refused_token_made_nothing(mongo_uri):
    async def story(server):
        alice = await server.operator()
        stub = token_pb2_grpc.TokenServiceStub(server.channel(alice))
        await refusal(stub.CreateToken(token_pb2.CreateTokenRequest(max_uses=0)))
        actions = [action for action, _, _ in await rows(server, "token.create")]
        assert actions == ["token.create", "token.create.failed"]

    in_server(mongo_uri, story)


def test_a_trust_document_is_named_by_version_and_hash(mongo_uri):
    async def story(server):
        with gpg_home() as home:
            signers = Fleet(home)
            signers.id = server.settings.server.fleet_id
            envelope = signers.publish(signers.document("alice"), "alice")
        alice = await server.operator()
        stub = trust_pb2_grpc.TrustServiceStub(server.channel(alice))
        wire = envelope_pb2.Envelope(
            kind=envelope.kind, payload=envelope.payload, signatures=envelope.signatures
        )
        for version in (2, 1):
            document = envelope_pb2.TrustDocument(version=version, envelope=wire)
            request = trust_pb2.PublishTrustRequest(document=document)
            if version == 2:
                assert "version 1" in (await refusal(stub.PublishTrust(request))).reason
            else:
                await stub.PublishTrust(request)
        details = {"payload": f"sha256:{hashlib.sha256(envelope.payload).hexdigest()}"}
        named = await rows(server, "trust.publish")
        assert [one[:2] for one in named] == [
            ("trust.publish", "2"),
            ("trust.publish.failed", "2"),
            ("trust.publish", "1"),
        ]
        assert named[-1][2] == details

    in_server(mongo_uri, story)


@pytest.mark.parametrize("count", [60, 1200])
def test_all_of_many_issues_are_named_or_counted(mongo_uri, count):
    async def story(server):
        alice = await server.operator()
        stub = issue_pb2_grpc.IssueServiceStub(server.channel(alice))
        ids = [f"{number:026d}" for number in range(count)]
        await refusal(stub.CloseIssues(issue_pb2.CloseIssuesRequest(issue_ids=ids)))
        ((_, target, details), _) = await rows(server, "issue.close")
        assert len(target) == 500
        assert target.endswith("…")
        assert details["issue_ids"][:1000] == ids[:1000]
        assert details["issue_ids"][1000:] == ([] if count == 60 else ["… and 200 more"])

    in_server(mongo_uri, story)


def test_an_opened_issue_is_named_and_a_long_reason_says_that_it_goes_on(mongo_uri):
    async def story(server):
        alice = await server.operator()
        device, _ = await server.enroll()
        stub = issue_pb2_grpc.IssueServiceStub(server.channel(alice))
        request = issue_pb2.OpenIssueRequest(device_id=device.name, name="lost-badge")
        opened = await stub.OpenIssue(request)
        assert (await rows(server, "issue.open"))[1][1] == opened.issue.issue_id
        revoke = device_pb2.RevokeDeviceRequest(device_id=device.name, reason="x" * 501)
        await server.devices(alice).RevokeDevice(revoke)
        ((_, _, details),) = await rows(server, "device.revoke")
        assert details == {"reason": "x" * 499 + "…"}

    in_server(mongo_uri, story)
