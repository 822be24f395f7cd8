from __future__ import annotations

import asyncio
import contextlib
import time
from datetime import timedelta

import grpc
import pytest

from penguindome import certs, possession
from penguindome.errors import Forbidden, Unauthenticated
from penguindome.v1 import agent_pb2, device_pb2
from penguindome.v1 import bootstrap_pb2 as boot
from tests.harness.serving import Identity, refusal, running

ACTIVE, PENDING = boot.ENROLLMENT_STATE_ACTIVE, boot.ENROLLMENT_STATE_PENDING


def in_server(mongo_uri, story):
    async def run():
        async with asyncio.timeout(60), running(mongo_uri) as server:
            await story(server)

    asyncio.run(run())


async def call(server, device):
    return await server.agent(device).ListVerdicts(agent_pb2.ListVerdictsRequest())


@pytest.mark.parametrize("days", [0, 20, 300])
def test_a_certificate_renews_early_late_and_after_months(mongo_uri, days):
    async def story(server):
        device, _ = await server.enroll()
        server.clock.move(days=days)
        renewed, answer = await server.renew(device)
        assert answer.state == ACTIVE
        facts = certs.parse_certificate(renewed.certificate)
        assert facts.uris == certs.parse_certificate(device.certificate).uris
        assert timedelta(days=13) < facts.not_after - server.clock() <= timedelta(days=14)
        stored = await server.stores.devices.get(device.name)
        assert stored.serials[-1] == facts.serial

    in_server(mongo_uri, story)


def test_a_new_key_is_accepted_beside_the_old_one_until_its_first_use(mongo_uri):
    async def story(server):
        old, _ = await server.enroll()
        new, _ = await server.renew(old, key=certs.generate_key())
        await call(server, old)
        await call(server, new)
        error = await refusal(call(server, old))
        assert error.code == "other-key"
        assert (await refusal(server.renew(old))).code == "possession"
        await server.renew(new)
        stored = await server.stores.devices.get(old.name)
        assert stored.pending_spki is None
        assert stored.fingerprint == certs.fingerprint(certs.key_spki(new.key))

    in_server(mongo_uri, story)


def test_a_lost_answer_leaves_either_key_usable_for_the_next_renewal(mongo_uri):
    async def story(server):
        device, _ = await server.enroll()
        next_key = certs.generate_key()
        await server.renew(device, key=next_key)
        again, _ = await server.renew(device, key=next_key)
        by_new, _ = await server.renew(Identity(next_key, b"", device.name))
        await call(server, by_new)
        await call(server, again)

    in_server(mongo_uri, story)


def test_only_the_recorded_key_renews_and_a_nonce_works_once(mongo_uri):
    async def story(server):
        device, _ = await server.enroll()
        error = await refusal(server.renew(device, signer=certs.generate_key()))
        assert (type(error), error.code) == (Unauthenticated, "possession")
        nonce = (await server.bootstrap.Begin(boot.BeginRequest())).nonce
        signed = possession.renew_bytes(nonce, device.name, device.csr)
        csr = certs.make_csr(device.key)
        request = boot.RenewDeviceRequest(
            nonce=nonce,
            device_id=device.name,
            csr=csr,
            signature=certs.sign(device.key, possession.renew_bytes(nonce, device.name, csr)),
        )
        assert signed
        await server.bootstrap.RenewDevice(request)
        assert (await refusal(server.bootstrap.RenewDevice(request))).code == "nonce"

    in_server(mongo_uri, story)


def test_a_revoked_device_does_not_renew(mongo_uri):
    async def story(server):
        device, _ = await server.enroll()
        alice = server.devices(await server.operator())
        await alice.RevokeDevice(device_pb2.RevokeDeviceRequest(device_id=device.name))
        error = await refusal(server.renew(device))
        assert (type(error), error.code) == (Forbidden, "revoked")
        assert (await refusal(call(server, device))).code == "revoked"

    in_server(mongo_uri, story)


def test_revocation_ends_open_streams_at_once(mongo_uri):
    async def story(server):
        device, _ = await server.enroll()
        alice = server.devices(await server.operator())
        stream = server.agent(device).CheckIn(agent_pb2.CheckInRequest(hostname="web-1"))
        assert (await stream.read()).HasField("welcome")
        started = time.monotonic()
        await alice.RevokeDevice(device_pb2.RevokeDeviceRequest(device_id=device.name))
        assert await stream.code() is grpc.StatusCode.UNAUTHENTICATED
        assert time.monotonic() - started < 2
        rows = await server.stores.ledger.after(0, 100)
        assert (rows[-1].action, rows[-1].target) == ("device.revoke", device.name)

    in_server(mongo_uri, story)


def test_revocation_by_another_process_ends_open_streams_soon(mongo_uri):
    async def story(server):
        device, _ = await server.enroll()
        stream = server.agent(device).CheckIn(agent_pb2.CheckInRequest(hostname="web-1"))
        await stream.read()
        await server.stores.devices.revoke(device.name, "elsewhere", server.clock())
        async with asyncio.timeout(6):
            assert await stream.code() is grpc.StatusCode.UNAUTHENTICATED

    in_server(mongo_uri, story)


def test_a_stream_ends_when_its_certificate_does(mongo_uri):
    async def story(server):
        device, _ = await server.enroll()
        stream = server.agent(device).CheckIn(agent_pb2.CheckInRequest(hostname="web-1"))
        await stream.read()
        server.clock.move(days=15)
        async with asyncio.timeout(6):
            # News may come before: the clock moved for the whole server.
            with contextlib.suppress(grpc.RpcError):
                while await stream.read() is not grpc.aio.EOF:
                    pass
            assert await stream.code() is grpc.StatusCode.UNAUTHENTICATED
        renewed, _ = await server.renew(device)
        assert renewed.certificate

    in_server(mongo_uri, story)


def test_a_device_is_deleted_only_after_it_is_revoked_and_does_not_come_back(mongo_uri):
    async def story(server):
        token, key = await server.token(max_uses=1), certs.generate_key()
        csr = certs.make_csr(key)
        device, _ = await server.enroll(token, key, csr=csr)
        alice = server.devices(await server.operator())
        request = device_pb2.DeleteDeviceRequest(device_id=device.name)
        assert (await refusal(alice.DeleteDevice(request))).code == "precondition-failed"
        await alice.RevokeDevice(device_pb2.RevokeDeviceRequest(device_id=device.name))
        await alice.DeleteDevice(request)
        assert await server.stores.devices.get(device.name) is None
        assert await server.stores.states.snapshot(device.name) is None
        error = await refusal(server.enroll(token, device.key, csr=csr))
        assert error.code == "token-used-up"

    in_server(mongo_uri, story)


def test_labels_are_checked_and_kept_sorted(mongo_uri):
    async def story(server):
        device, _ = await server.enroll()
        alice = server.devices(await server.operator())
        label = device_pb2.LabelDeviceRequest
        await alice.LabelDevice(label(device_id=device.name, add=["b", "a"]))
        answer = await alice.LabelDevice(label(device_id=device.name, add=["c"], remove=["b"]))
        assert list(answer.labels) == ["a", "c"]
        error = await refusal(alice.LabelDevice(label(device_id=device.name, add=["$x y"])))
        assert error.code == "invalid-input"

    in_server(mongo_uri, story)
