"""Operators renew their certificates by the key that is recorded."""

import asyncio
from datetime import timedelta

import pytest

from penguindome import certs, possession
from penguindome.v1 import bootstrap_pb2 as boot
from penguindome.v1 import server_pb2, server_pb2_grpc
from tests.harness.serving import Identity, refusal, running


def in_server(mongo_uri, story):
    async def run():
        async with asyncio.timeout(60), running(mongo_uri) as server:
            await story(server)

    asyncio.run(run())


async def request(server, who, *, key=None, signed_name=None):
    nonce = (await server.bootstrap.Begin(boot.BeginRequest())).nonce
    data = possession.renew_operator_bytes(nonce, signed_name or who.name)
    signature = certs.sign(key or who.key, data)
    return boot.RenewOperatorRequest(nonce=nonce, operator_name=who.name, signature=signature)


async def renew(server, who, **changes):
    answer = await server.bootstrap.RenewOperator(await request(server, who, **changes))
    return Identity(who.key, answer.certificate, who.name)


async def call(server, who):
    return await server_pb2_grpc.ServerServiceStub(server.channel(who)).GetSelf(
        server_pb2.GetSelfRequest()
    )


@pytest.mark.parametrize("days", [0, 25, 89])
def test_an_operator_renews_early_and_late_with_the_same_roles(mongo_uri, days):
    async def story(server):
        alice = await server.operator(roles=("viewer",))
        server.clock.move(days=days)
        renewed = await renew(server, alice)
        facts = certs.parse_certificate(renewed.certificate)
        assert facts.uris == certs.parse_certificate(alice.certificate).uris
        assert timedelta(days=29) < facts.not_after - server.clock() <= timedelta(days=30)
        stored = await server.stores.operators.get("alice")
        assert (stored.serials[-1], stored.roles) == (facts.serial, ("viewer",))
        assert stored.certificate_expires_time == facts.not_after
        rows = await server.stores.ledger.after(0, 100)
        assert (rows[-1].actor, rows[-1].action) == ("operator/alice", "operator.renew")

    in_server(mongo_uri, story)


def test_both_certificates_work_after_a_renewal(mongo_uri):
    async def story(server):
        alice = await server.operator()
        renewed = await renew(server, alice)
        assert (await call(server, renewed)).name == "alice"
        # The answer may have been lost.
        assert (await call(server, alice)).name == "alice"

    in_server(mongo_uri, story)


def test_who_was_away_for_too_long_needs_an_invitation(mongo_uri):
    async def story(server):
        alice = await server.operator()
        server.clock.move(days=91)
        error = await refusal(renew(server, alice))
        assert (error.code, "operator invite" in error.remedy) == ("absent-too-long", True)

    in_server(mongo_uri, story)


def test_only_the_recorded_key_renews_its_own_name_and_a_nonce_works_once(mongo_uri):
    async def story(server):
        alice, bob = await server.operator(), await server.operator("bob", ("viewer",))
        device, _ = await server.enroll()
        nobody = Identity(alice.key, b"", "nobody")
        as_alice = Identity(bob.key, b"", "alice")
        for who, changes in (
            (alice, {"key": certs.generate_key()}),
            (alice, {"signed_name": "bob"}),
            (as_alice, {}),
            (nobody, {}),
            (device, {}),
        ):
            assert (await refusal(renew(server, who, **changes))).code == "possession"
        used = await request(server, alice)
        await server.bootstrap.RenewOperator(used)
        assert (await refusal(server.bootstrap.RenewOperator(used))).code == "nonce"

    in_server(mongo_uri, story)


def test_a_revoked_or_newly_invited_operator_does_not_renew_the_old_key(mongo_uri):
    async def story(server):
        old = await server.operator()
        new = await server.operator()
        assert (await refusal(renew(server, old))).code == "possession"
        await renew(server, new)
        await server.stores.operators.revoke("alice")
        assert (await refusal(renew(server, new))).code == "revoked"
        stored = await server.stores.operators.get("alice")
        spki = certs.key_spki(new.key)
        late = server.clock() + timedelta(days=30)
        assert not await server.stores.operators.add_certificate("alice", spki, "ab", late)
        assert await server.stores.operators.get("alice") == stored

    in_server(mongo_uri, story)
