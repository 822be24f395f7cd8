"""Every method, called over real TLS by every kind of caller."""

from __future__ import annotations

import asyncio
import importlib
from datetime import timedelta

import grpc
import pytest
from grpc_reflection.v1alpha import reflection_pb2, reflection_pb2_grpc

from penguind.access import ACCESS, ROLES
from penguind.identity.authority import Issuer, load_authority
from penguindome import certs
from penguindome.error_wire import from_rpc_error
from penguindome.errors import InternalError, Unauthenticated
from penguindome.v1 import bootstrap_pb2 as boot
from penguindome.v1 import device_pb2, ledger_pb2, ledger_pb2_grpc, server_pb2, server_pb2_grpc
from tests.harness.serving import Identity, refusal, running

HEALTH = "/grpc.health.v1.Health/Check"
OURS = sorted(name for name in ACCESS if name.startswith("/penguindome."))


def in_server(mongo_uri, story, **options):
    async def run():
        async with asyncio.timeout(90), running(mongo_uri, **options) as server:
            await story(server)

    asyncio.run(run())


async def outcome(channel, method):
    """Call with an empty request; return the status, and the code of our error."""
    streaming = method.endswith(("/CheckIn", "/Watch"))
    make = channel.unary_stream if streaming else channel.unary_unary
    call = make(method, request_serializer=None, response_deserializer=None)(b"", timeout=10)
    try:
        if streaming:
            await call.read()
            call.cancel()
        else:
            await call
    except grpc.RpcError as error:
        return error.code(), from_rpc_error(error).code
    return grpc.StatusCode.OK, ""


REFUSED = {
    (grpc.StatusCode.PERMISSION_DENIED, "not-permitted"),
    (grpc.StatusCode.PERMISSION_DENIED, "role-missing"),
}


def test_the_table_holds_for_every_method_and_caller_over_mutual_tls(mongo_uri):
    async def story(server):
        device, _ = await server.enroll()
        callers = {("device", ""): server.channel(device)}
        for role in ROLES:
            who = await server.operator(f"only-{role}", [role])
            callers["operator", role] = server.channel(who)
        for method in [*OURS, HEALTH]:
            row = ACCESS[method]
            for (kind, role), channel in callers.items():
                found = await outcome(channel, method)
                if row.listener == "bootstrap":
                    assert found[0] is grpc.StatusCode.UNIMPLEMENTED, method
                    continue
                allowed = kind in row.kinds and (kind == "device" or role in row.roles)
                assert (found not in REFUSED) is allowed, (method, kind, role, found)
                assert found[0] is not grpc.StatusCode.INTERNAL, (method, found)

    in_server(mongo_uri, story)


def test_without_a_certificate_nothing_on_the_main_listener_answers(mongo_uri):
    async def story(server):
        anonymous = server.channel()
        for method in OURS[:3]:
            assert (await outcome(anonymous, method))[0] is grpc.StatusCode.UNAVAILABLE
        bootstrap = server.channel(bootstrap=True)
        for method in (*OURS, HEALTH):
            if ACCESS[method].listener == "main":
                assert (await outcome(bootstrap, method))[0] is grpc.StatusCode.UNIMPLEMENTED

    in_server(mongo_uri, story)


def forged(server, now, *, uri, issuer=None, client=True):
    """Return an identity that an authority signed behind the server's back."""
    folder = server.settings.server.state_dir / "authority"
    issuer = issuer or Issuer(
        (folder / "device-ca.pem").read_bytes(), (folder / "device-ca-key.pem").read_bytes()
    )
    key = certs.generate_key()
    pem = certs.issue(
        authority_pem=issuer.certificate,
        authority_key_pem=issuer.key,
        spki=certs.key_spki(key),
        uri=uri,
        dns_names=() if uri else ("x",),
        client=client,
        not_before=now - timedelta(hours=1),
        not_after=now + timedelta(hours=1),
    )
    return Identity(key, pem)


async def me(server, who):
    stub = server_pb2_grpc.ServerServiceStub(server.channel(who))
    return await stub.GetSelf(server_pb2.GetSelfRequest())


def test_certificates_of_our_authorities_still_need_name_record_and_serial(mongo_uri):
    async def story(server):
        fleet, now = server.settings.server.fleet_id, server.clock()
        device, _ = await server.enroll()
        for uri, code in {
            "": "bad-certificate-name",
            f"spiffe://{fleet}/operator/alice": "bad-certificate-name",
            f"spiffe://{'0' * 32}/device/{device.name}": "bad-certificate-name",
            f"spiffe://{fleet}/device/d-aaaaaaaaaaaaaaaa": "revoked",
            f"spiffe://{fleet}/device/{device.name}": "other-key",
        }.items():
            error = await refusal(me(server, forged(server, now, uri=uri)))
            assert isinstance(error, Unauthenticated)
            assert error.code == code, uri

    in_server(mongo_uri, story)


def test_a_certificate_of_another_authority_is_refused_in_the_handshake(mongo_uri):
    async def story(server):
        now, fleet = server.clock(), server.settings.server.fleet_id
        key = certs.generate_key()
        authority = certs.make_authority(
            "x",
            key_pem=key,
            now=now,
            lifetime=timedelta(days=1),
            path_length=0,
            client_auth_only=True,
        )
        uri = f"spiffe://{fleet}/operator/alice"
        await server.operator()
        evil = forged(server, now, uri=uri, issuer=Issuer(authority, key))
        assert (await outcome(server.channel(evil), OURS[0]))[0] is grpc.StatusCode.UNAVAILABLE

    in_server(mongo_uri, story)


def test_a_certificate_that_expires_on_an_open_channel_is_refused(mongo_uri):
    async def story(server):
        alice = await server.operator()
        stub = server_pb2_grpc.ServerServiceStub(server.channel(alice))
        assert (await stub.GetSelf(server_pb2.GetSelfRequest())).name == "alice"
        server.clock.move(days=31)
        error = await refusal(stub.GetSelf(server_pb2.GetSelfRequest()))
        assert (error.code, type(error)) == ("expired", Unauthenticated)

    in_server(mongo_uri, story)


def test_an_operator_who_is_revoked_elsewhere_is_refused_within_seconds(mongo_uri):
    async def story(server):
        alice = await server.operator()
        stub = server_pb2_grpc.ServerServiceStub(server.channel(alice))
        await stub.GetSelf(server_pb2.GetSelfRequest())
        await server.stores.operators.revoke("alice")
        await asyncio.sleep(2.1)
        error = await refusal(stub.GetSelf(server_pb2.GetSelfRequest()))
        assert error.code == "revoked"
        assert [one.name for one in await server.stores.operators.all()] == ["alice"]

    in_server(mongo_uri, story)


def test_a_new_invitation_ends_the_former_one_and_its_key(mongo_uri):
    async def story(server):
        requests = []
        redeem = server.bootstrap.RedeemInvitation

        def kept(request):
            requests.append(request)
            return redeem(request)

        server.bootstrap.RedeemInvitation = kept
        first = await server.operator()
        await redeem(requests[0])
        second = await server.operator()
        assert (await refusal(me(server, first))).code == "other-key"
        assert (await refusal(redeem(requests[0]))).code == "invitation-refused"
        assert (await me(server, second)).name == "alice"

    in_server(mongo_uri, story)


def test_reflection_shows_the_services_to_whoever_has_a_certificate(mongo_uri):
    async def story(server):
        device, _ = await server.enroll()
        stub = reflection_pb2_grpc.ServerReflectionStub(server.channel(device))
        asked = reflection_pb2.ServerReflectionRequest(list_services="")
        call = stub.ServerReflectionInfo(iter([asked]))
        answer = await call.read()
        names = {one.name for one in answer.list_services_response.service}
        assert "penguindome.v1.AgentService" in names
        assert "grpc.health.v1.Health" in names
        call.cancel()

    in_server(mongo_uri, story)


def test_a_compressed_message_is_refused_before_it_is_unpacked(mongo_uri):
    async def story(server):
        request = boot.GetTrustChainRequest(after_version=1)
        call = server.bootstrap.GetTrustChain(request, compression=grpc.Compression.Gzip)
        assert (await refusal(call)).code in {"not-supported", "internal"}

    in_server(mongo_uri, story)


def test_an_act_has_a_row_before_it_and_one_after_its_failure(mongo_uri):
    async def story(server):
        alice = await server.operator()
        request = device_pb2.RevokeDeviceRequest(device_id="d-nobody", reason="gone\n")
        error = await refusal(server.devices(alice).RevokeDevice(request))
        assert error.code == "no-device"
        ledger = ledger_pb2_grpc.LedgerServiceStub(server.channel(alice))
        rows = (await ledger.ListLedger(ledger_pb2.ListLedgerRequest(after=2))).rows
        assert [(row.actor, row.action, row.target) for row in rows] == [
            ("operator/alice", "device.revoke", "d-nobody"),
            ("operator/alice", "device.revoke.failed", "d-nobody"),
        ]
        assert rows[0].details == b'{"reason":"gone\\n"}'
        head = await ledger.GetLedgerHead(ledger_pb2.GetLedgerHeadRequest())
        assert (head.number, head.hash) == (rows[-1].number, rows[-1].hash)

    in_server(mongo_uri, story)


def test_an_unexpected_failure_tells_the_caller_nothing(mongo_uri, monkeypatch):
    module = importlib.import_module("penguind.services.server")

    def fail(_):
        raise RuntimeError("a secret path /var/lib/x")

    async def story(server):
        alice = await server.operator()
        monkeypatch.setattr(module, "unix_ms", fail)
        error = await refusal(me(server, alice))
        assert isinstance(error, InternalError)
        assert "secret" not in error.text()

    in_server(mongo_uri, story)


def test_one_address_may_not_call_without_end(mongo_uri):
    async def story(server):
        errors = [await refusal_or_none(server) for _ in range(14)]
        last = [error for error in errors if error is not None][-1]
        assert last.code == "too-many-calls"
        assert last.retry_after_seconds > 0

    async def refusal_or_none(server):
        try:
            await server.enroll((b"unknown!", bytes(32)))
        except grpc.RpcError as error:
            return from_rpc_error(error)
        return None

    in_server(mongo_uri, story, settings_text="\n[limits]\nenroll_per_minute = 10\n")


@pytest.mark.parametrize("size", [63_000, 70_000])
def test_a_message_without_a_certificate_is_at_most_64_kib(mongo_uri, size):
    async def story(server):
        request = await server.application_for((b"unknown!", bytes(32)), certs.generate_key())
        request.os_name = "x" * size
        error = await refusal(server.bootstrap.Enroll(request))
        assert (error.code == "limit-exceeded") is (size > 65_536)

    in_server(mongo_uri, story)


def test_keys_of_the_authorities_are_read_from_the_state_folder(mongo_uri):
    async def story(server):
        settings = server.settings.server
        authority = load_authority(settings.state_dir, settings.fleet_id)
        assert authority.problems(server.clock()) == []
        assert authority.signer(server.anchor) is None

    in_server(mongo_uri, story)
