from __future__ import annotations

import asyncio
import os
from datetime import timedelta

import pytest

from penguindome import certs, possession
from penguindome.errors import Forbidden, InvalidInput, NotFound, Unauthenticated
from penguindome.v1 import agent_pb2, device_pb2
from penguindome.v1 import bootstrap_pb2 as boot
from tests.harness.serving import Identity, refusal, running

ACTIVE, PENDING = boot.ENROLLMENT_STATE_ACTIVE, boot.ENROLLMENT_STATE_PENDING


def in_server(mongo_uri, story, **options):
    async def run():
        async with asyncio.timeout(60), running(mongo_uri, **options) as server:
            await story(server)

    asyncio.run(run())


async def verdicts(server, device):
    return await server.agent(device).ListVerdicts(agent_pb2.ListVerdictsRequest())


def test_a_token_becomes_a_device_that_may_call(mongo_uri):
    async def story(server):
        device, answer = await server.enroll(await server.token(labels=("eng",)))
        assert answer.state == ACTIVE
        await verdicts(server, device)
        stored = await server.stores.devices.get(device.name)
        assert (stored.hostname, stored.labels, stored.approved_by) == ("web-1", ("eng",), "token")
        assert stored.peer_address == "127.0.0.1"
        facts = certs.parse_certificate(device.certificate)
        assert facts.uris == (f"spiffe://{server.settings.server.fleet_id}/device/{device.name}",)
        assert facts.not_after - server.clock() <= timedelta(days=14)
        assert not facts.is_ca

    in_server(mongo_uri, story)


def test_one_use_has_exactly_one_winner_among_parallel_redemptions(mongo_uri):
    async def story(server):
        token = await server.token(max_uses=1)
        applications = [
            await server.application_for(token, certs.generate_key()) for _ in range(20)
        ]
        answers = await asyncio.gather(
            *(server.bootstrap.Enroll(one) for one in applications), return_exceptions=True
        )
        won = [one for one in answers if isinstance(one, boot.EnrollResponse)]
        assert len(won) == 1
        assert (await server.stores.tokens.get(token[0].hex())).uses == 1
        again, _ = await asyncio.gather(
            refusal(server.bootstrap.Enroll(await server.application_for(token, os_key()))),
            asyncio.sleep(0),
        )
        assert again.code == "token-used-up"

    in_server(mongo_uri, story)


def os_key():
    return certs.generate_key()


def test_a_repeated_request_takes_no_second_use(mongo_uri):
    async def story(server):
        token, key = await server.token(max_uses=1), certs.generate_key()
        csr = certs.make_csr(key)
        first, _ = await server.enroll(token, key, csr=csr)
        second, _ = await server.enroll(token, key, csr=csr)
        assert first.name == second.name
        assert first.certificate != second.certificate
        await verdicts(server, first)
        await verdicts(server, second)

    in_server(mongo_uri, story)


@pytest.mark.parametrize(
    ("facts", "code"),
    [
        ({"cidrs": ("10.0.0.0/8",)}, "token-network"),
        ({"revoked": True}, "token-revoked"),
        ({"wrong_secrets": 5}, "token-frozen"),
    ],
)
def test_a_token_refuses_with_its_reason_to_those_who_know_its_secret(mongo_uri, facts, code):
    async def story(server):
        token = await server.token(**facts)
        request = await server.application_for(token, certs.generate_key())
        error = await refusal(server.bootstrap.Enroll(request))
        assert isinstance(error, Forbidden)
        assert error.code == code
        assert error.remedy

    in_server(mongo_uri, story)


def test_an_expired_token_is_refused(mongo_uri):
    async def story(server):
        token = await server.token()
        server.clock.move(days=3)
        request = await server.application_for(token, certs.generate_key())
        assert (await refusal(server.bootstrap.Enroll(request))).code == "token-expired"

    in_server(mongo_uri, story)


def test_wrong_secrets_and_unknown_tokens_look_alike_and_the_fifth_freezes(mongo_uri):
    async def story(server):
        token_id, secret = await server.token()
        seen = set()
        for wrong in [(token_id, os.urandom(32)) for _ in range(6)] + [(b"unknown!", secret)]:
            request = await server.application_for(wrong, certs.generate_key())
            error = await refusal(server.bootstrap.Enroll(request))
            seen.add((type(error), error.code, error.reason, error.remedy, error.subject))
        assert len(seen) == 1
        request = await server.application_for((token_id, secret), certs.generate_key())
        assert (await refusal(server.bootstrap.Enroll(request))).code == "token-frozen"
        rows = await server.stores.ledger.after(0, 10)
        assert [row.action for row in rows] == ["token.freeze"]

    in_server(mongo_uri, story)


def test_a_nonce_is_used_once_and_for_a_minute(mongo_uri):
    async def story(server):
        token = await server.token()
        request = await server.application_for(token, certs.generate_key())
        await server.bootstrap.Enroll(request)
        assert (await refusal(server.bootstrap.Enroll(request))).code == "nonce"
        request = await server.application_for(token, certs.generate_key())
        server.clock.move(seconds=61)
        assert (await refusal(server.bootstrap.Enroll(request))).code == "nonce"

    in_server(mongo_uri, story)


def test_an_application_signed_by_another_key_is_refused(mongo_uri):
    async def story(server):
        token, mine, other = await server.token(), certs.generate_key(), certs.make_csr(os_key())
        request = await server.application_for(token, mine, csr=other)
        error = await refusal(server.bootstrap.Enroll(request))
        assert isinstance(error, Unauthenticated)
        assert (await server.stores.tokens.get(token[0].hex())).uses == 0

    in_server(mongo_uri, story)


def test_unknown_or_long_hints_are_refused_and_equal_ones_never_merge(mongo_uri):
    async def story(server):
        token = await server.token()
        for hints in ({"machine-id": b"short"}, {"serial.$x": bytes(32)}):
            request = await server.application_for(token, os_key(), hints=hints)
            assert isinstance(await refusal(server.bootstrap.Enroll(request)), InvalidInput)
        first, _ = await server.enroll(token, hints={"machine-id": bytes(32)})
        second, _ = await server.enroll(token, hints={"machine-id": bytes(32)})
        assert first.name != second.name
        alice = await server.operator()
        shown = await server.devices(alice).GetDevice(
            device_pb2.GetDeviceRequest(device=second.name)
        )
        assert list(shown.device.same_hardware) == [first.name]

    in_server(mongo_uri, story)


def test_two_devices_of_one_hostname_are_two_records_and_the_name_is_refused(mongo_uri):
    async def story(server):
        token = await server.token()
        ids = sorted([(await server.enroll(token))[0].name for _ in range(2)])
        stub = server.devices(await server.operator())
        error = await refusal(stub.GetDevice(device_pb2.GetDeviceRequest(device="web-1")))
        assert error.code == "ambiguous"
        assert all(one in error.reason for one in ids)
        missing = await refusal(stub.GetDevice(device_pb2.GetDeviceRequest(device="nobody")))
        assert isinstance(missing, NotFound)

    in_server(mongo_uri, story)


def test_a_waiting_device_gets_no_certificate_and_may_not_call(mongo_uri):
    async def story(server):
        device, answer = await server.enroll(await server.token(needs_approval=True))
        assert (answer.state, answer.certificate) == (PENDING, b"")
        assert answer.poll_after_seconds > 0
        assert (await server.poll(device)).state == PENDING
        stranger = Identity(os_key(), b"", device.name)
        assert (await refusal(server.poll(stranger))).code == "possession"
        unknown = Identity(device.key, b"", "d-aaaaaaaaaaaaaaaa")
        assert (await refusal(server.poll(unknown))).code == "possession"
        alice = server.devices(await server.operator())
        await alice.RevokeDevice(device_pb2.RevokeDeviceRequest(device_id=device.name))
        assert (await server.poll(device)).state == boot.ENROLLMENT_STATE_REJECTED

    in_server(mongo_uri, story)


def test_the_database_holds_no_secret(mongo_uri):
    async def story(server):
        token_id, secret = await server.token()
        await server.enroll((token_id, secret))
        await server.operator()
        everything = b""
        for name in await server.database.db.list_collection_names():
            async for found in server.database.db[name].find({}):
                everything += repr(found).encode()
        assert token_id.hex().encode() in everything
        assert secret not in everything
        assert repr(secret)[2:-1].encode() not in everything
        assert b"PRIVATE KEY" not in everything

    in_server(mongo_uri, story)


def test_possession_bytes_bind_the_purpose():
    assert possession.poll_bytes(b"n", "d") != possession.renew_bytes(b"n", "d", b"")
