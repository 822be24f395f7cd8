from __future__ import annotations

import asyncio
from datetime import timedelta

import pytest

from penguindome.envelope import Envelope, make_payload
from penguindome.ids import new_ulid
from penguindome.times import utc_now
from penguindome.trust import from_payload, renewed
from penguindome.v1 import (
    agent_pb2,
    device_pb2,
    envelope_pb2,
    server_pb2,
    server_pb2_grpc,
    trust_pb2,
    trust_pb2_grpc,
)
from penguindome.v1 import bootstrap_pb2 as boot
from tests.harness.serving import refusal, running
from tests.penguindome.signing import Fleet, gpg_home

PENDING, ACTIVE = boot.ENROLLMENT_STATE_PENDING, boot.ENROLLMENT_STATE_ACTIVE


@pytest.fixture(scope="module")
def signers():
    with gpg_home() as home:
        yield Fleet(home)


def in_server(mongo_uri, signers, story):
    async def run():
        async with asyncio.timeout(60), running(mongo_uri) as server:
            signers.id = server.settings.server.fleet_id
            signers.now = utc_now().replace(microsecond=0)
            await story(server)

    asyncio.run(run())


def message(envelope):
    return envelope_pb2.Envelope(
        kind=envelope.kind, payload=envelope.payload, signatures=envelope.signatures
    )


async def publish(server, who, envelope):
    stub = trust_pb2_grpc.TrustServiceStub(server.channel(who))
    version = from_payload(envelope.payload).version
    document = envelope_pb2.TrustDocument(version=version, envelope=message(envelope))
    return await stub.PublishTrust(trust_pb2.PublishTrustRequest(document=document))


def test_the_first_version_stands_for_itself_and_is_announced(mongo_uri, signers):
    async def story(server):
        alice = await server.operator()
        device, _ = await server.enroll()
        stream = server.agent(device).CheckIn(agent_pb2.CheckInRequest(hostname="web-1"))
        assert (await stream.read()).welcome.trust_version == 0
        first = signers.publish(signers.document("alice"), "alice")
        await publish(server, alice, first)
        assert (await stream.read()).trust_changed.version == 1
        chain = await server.bootstrap.GetTrustChain(boot.GetTrustChainRequest())
        assert [one.version for one in chain.documents] == [1]
        assert chain.documents[0].envelope == message(first)
        assert (await server.bootstrap.Begin(boot.BeginRequest())).trust_version == 1
        stream.cancel()

    in_server(mongo_uri, signers, story)


def test_unsigned_foreign_and_repeated_first_versions_are_refused(mongo_uri, signers):
    async def story(server):
        alice = await server.operator()
        document = signers.document("alice")
        for envelope in (
            signers.publish(document, "mallory"),
            signers.publish(document),
            signers.publish(signers.document("alice", fleet="0" * 32), "alice"),
        ):
            await refusal(publish(server, alice, envelope))
        assert await server.stores.trust.after(0) == []
        await publish(server, alice, signers.publish(document, "alice"))
        other = signers.document("mallory", issued_time=signers.now)
        await refusal(publish(server, alice, signers.publish(other, "mallory")))
        assert len(await server.stores.trust.after(0)) == 1

    in_server(mongo_uri, signers, story)


def test_the_next_version_needs_the_signatures_of_both(mongo_uri, signers):
    async def story(server):
        alice = await server.operator()
        await publish(server, alice, signers.publish(signers.document("alice"), "alice"))
        second = signers.document("bob", version=2)
        for names in (("alice",), ("bob",), ("mallory",)):
            await refusal(publish(server, alice, signers.publish(second, *names)))
        await publish(server, alice, signers.publish(second, "alice", "bob"))
        skipped = signers.document("bob", version=4)
        await refusal(publish(server, alice, signers.publish(skipped, "bob")))
        assert [version for version, _ in await server.stores.trust.after(0)] == [1, 2]

    in_server(mongo_uri, signers, story)


def test_a_chain_longer_than_a_strangers_message_is_served_whole(mongo_uri, signers):
    async def story(server):
        for version in range(1, 41):
            await server.stores.trust.insert(version, Envelope("trust", b"x" * 4096, (b"s",)))
        chain = await server.bootstrap.GetTrustChain(boot.GetTrustChainRequest(after_version=1))
        assert [one.version for one in chain.documents] == list(range(2, 41))

    in_server(mongo_uri, signers, story)


def approval(signers, device, fingerprint, *names):
    payload = make_payload(
        fleet=signers.id,
        kind="enroll",
        id=new_ulid(signers.now),
        issued_time=signers.now,
        not_before_time=signers.now,
        expires_time=signers.now + timedelta(days=365),
        devices=[device],
        reason="",
        by="alice",
        body={"device_id": device, "fingerprint": fingerprint},
    )
    return message(signers.sign("enroll", payload, *names))


async def approve(server, who, device, envelope):
    request = device_pb2.ApproveDeviceRequest(device_id=device, approval=envelope)
    return await server.devices(who).ApproveDevice(request)


def test_a_waiting_device_is_let_in_by_a_signature_on_its_own_key(mongo_uri, signers):
    async def story(server):
        alice = await server.operator()
        await publish(server, alice, signers.publish(signers.document("alice"), "alice"))
        device, _ = await server.enroll(await server.token(needs_approval=True))
        fingerprint = (await server.stores.devices.get(device.name)).fingerprint
        for wrong in (
            approval(signers, device.name, fingerprint, "mallory"),
            approval(signers, device.name, "0" * 64, "alice"),
            approval(signers, "d-aaaaaaaaaaaaaaaa", fingerprint, "alice"),
            envelope_pb2.Envelope(kind="enroll", payload=b"{}"),
        ):
            await refusal(approve(server, alice, device.name, wrong))
        assert (await server.poll(device)).state == PENDING
        right = approval(signers, device.name, fingerprint, "alice")
        await approve(server, alice, device.name, right)
        answer = await server.poll(device)
        assert (answer.state, answer.approval) == (ACTIVE, right)
        device.certificate = answer.certificate
        await server.agent(device).ListVerdicts(agent_pb2.ListVerdictsRequest())
        again = await refusal(approve(server, alice, device.name, right))
        assert again.code == "precondition-failed"
        assert (await server.stores.devices.get(device.name)).approved_by == "alice"

    in_server(mongo_uri, signers, story)


def test_a_device_that_slept_for_too_long_waits_for_a_new_approval(mongo_uri, signers):
    async def story(server):
        device, _ = await server.enroll()
        server.clock.move(days=401)
        assert (await server.poll(device)).state == PENDING
        _, answer = await server.renew(device)
        assert (answer.state, answer.certificate) == (PENDING, b"")
        server.clock.move(days=-401)
        alice = await server.operator()
        await publish(server, alice, signers.publish(signers.document("alice"), "alice"))
        fingerprint = (await server.stores.devices.get(device.name)).fingerprint
        await approve(
            server, alice, device.name, approval(signers, device.name, fingerprint, "alice")
        )
        renewed, answer = await server.renew(device)
        assert answer.state == ACTIVE
        await server.agent(renewed).ListVerdicts(agent_pb2.ListVerdictsRequest())

    in_server(mongo_uri, signers, story)


async def status(server, who):
    stub = server_pb2_grpc.ServerServiceStub(server.channel(who))
    return await stub.GetServerStatus(server_pb2.GetServerStatusRequest())


def test_a_document_that_ends_is_told_and_a_renewed_one_lets_devices_in_again(mongo_uri, signers):
    async def story(server):
        first = signers.document("alice", expires_time=signers.now + timedelta(minutes=10))
        alice = await server.operator()
        await publish(server, alice, signers.publish(first, "alice"))
        (problem,) = (await status(server, alice)).problems
        assert "ends on" in problem
        server.clock.move(minutes=10)
        (problem,) = (await status(server, alice)).problems
        assert "ended on" in problem
        device, _ = await server.enroll(await server.token(needs_approval=True))
        fingerprint = (await server.stores.devices.get(device.name)).fingerprint
        envelope = approval(signers, device.name, fingerprint, "alice")
        error = await refusal(approve(server, alice, device.name, envelope))
        assert (error.code, "trust renew" in error.remedy) == ("trust-expired", True)
        second = renewed(first, server.clock())
        await publish(server, alice, signers.publish(second, "alice"))
        assert list((await status(server, alice)).problems) == []
        await approve(server, alice, device.name, envelope)
        assert (await server.poll(device)).state == ACTIVE

    in_server(mongo_uri, signers, story)


def test_without_a_trust_document_nobody_is_approved(mongo_uri, signers):
    async def story(server):
        alice = await server.operator()
        device, _ = await server.enroll(await server.token(needs_approval=True))
        envelope = approval(signers, device.name, "0" * 64, "alice")
        assert (await refusal(approve(server, alice, device.name, envelope))).code == "no-trust"

    in_server(mongo_uri, signers, story)
