"""Operators change operators, and roles are limited to networks: over real TLS."""

import asyncio
from dataclasses import replace
from datetime import timedelta

import grpc
import pytest
from grpc_health.v1 import health_pb2, health_pb2_grpc

from penguindome import certs
from penguindome.error_wire import from_rpc_error
from penguindome.v1 import bootstrap_pb2 as boot
from penguindome.v1 import operator_pb2 as pb
from penguindome.v1 import operator_pb2_grpc, server_pb2, server_pb2_grpc
from tests.harness.serving import Identity, refusal, running
from tests.penguind.test_operator_renewal import renew

pytestmark = pytest.mark.timeout(60)
HOME, ELSEWHERE = "127.0.0.0/8", "10.0.0.0/8"


def in_server(mongo_uri, story):
    async def run():
        async with asyncio.timeout(50), running(mongo_uri) as server:
            await story(server)

    asyncio.run(run())


def operators(server, who):
    return operator_pb2_grpc.OperatorServiceStub(server.channel(who))


async def myself(server, who):
    stub = server_pb2_grpc.ServerServiceStub(server.channel(who))
    return await stub.GetSelf(server_pb2.GetSelfRequest())


async def redeemed(server, name, answer):
    key = certs.generate_key()
    request = boot.RedeemInvitationRequest(
        invitation_id=answer.invitation_id,
        invitation_secret=answer.secret,
        csr=certs.make_csr(key),
    )
    return Identity(key, (await server.bootstrap.RedeemInvitation(request)).certificate, name)


async def actions(server):
    return [(row.actor, row.action, row.target) for row in await server.stores.ledger.after(0, 999)]


def test_an_admin_invites_and_the_one_invited_comes(mongo_uri):
    async def story(server):
        admin = operators(server, await server.operator())
        answer = await admin.InviteOperator(pb.InviteOperatorRequest(name="bob", roles=["viewer"]))
        listed = await admin.ListOperators(pb.ListOperatorsRequest())
        (invitation,) = listed.invitations
        assert (invitation.name, invitation.created_by) == ("bob", "alice")
        assert answer.expires_unix_ms == invitation.expires_unix_ms
        assert (answer.advertised_host, len(answer.secret)) == ("127.0.0.1", 32)
        bob = await redeemed(server, "bob", answer)
        assert list((await myself(server, bob)).roles) == ["viewer"]
        listed = await admin.ListOperators(pb.ListOperatorsRequest())
        assert [(one.name, one.state) for one in listed.operators] == [
            ("alice", "active"),
            ("bob", "active"),
        ]
        assert not listed.invitations
        rows = await actions(server)
        assert rows.count(("operator/alice", "operator.invite", "bob")) == 1
        assert ("operator/alice", "operator.invite.done", answer.invitation_id.hex()) in rows
        error = await refusal(operators(server, bob).ListOperators(pb.ListOperatorsRequest()))
        assert error.code == "role-missing"

    in_server(mongo_uri, story)


@pytest.mark.parametrize(
    "facts", [{"name": "Bob Ross", "roles": ["viewer"]}, {"name": "bob", "roles": ["king"]},
              {"name": "bob"}, {"name": "bob", "roles": ["viewer"], "ttl_seconds": 5}]
)  # fmt: skip
def test_what_cannot_be_invited_is_named_and_recorded_as_failed(mongo_uri, facts):
    async def story(server):
        admin = operators(server, await server.operator())
        error = await refusal(admin.InviteOperator(pb.InviteOperatorRequest(**facts)))
        assert error.code == "invalid-input"
        assert (await actions(server))[-1][1] == "operator.invite.failed"

    in_server(mongo_uri, story)


def test_roles_hold_from_the_next_call_on_whatever_the_certificate_is(mongo_uri):
    async def story(server):
        admin = operators(server, await server.operator())
        bob = await server.operator("bob", ("viewer",))
        watch = operators(server, bob)
        assert (await refusal(watch.ListOperators(pb.ListOperatorsRequest()))).code
        change = pb.SetOperatorRolesRequest(name="bob", add=["auditor"], remove=["viewer"])
        assert list((await admin.SetOperatorRoles(change)).roles) == ["auditor"]
        await watch.ListOperators(pb.ListOperatorsRequest())
        # A certificate near its end renews, and roles follow the record, not the certificate.
        server.clock.move(days=29)
        renewed = await renew(server, bob)
        facts = certs.parse_certificate(renewed.certificate)
        assert facts.not_after > server.clock() + timedelta(days=20)
        # TLS knows only the real time, at which the new one is not valid yet.
        assert list((await myself(server, bob)).roles) == ["auditor"]
        assert (await server.stores.operators.get("bob")).roles == ("auditor",)
        for wrong, code in (
            ({"add": ["king"]}, "invalid-input"),
            ({"remove": ["auditor"]}, "invalid-input"),
            ({}, "invalid-input"),
        ):
            request = pb.SetOperatorRolesRequest(name="bob", **wrong)
            assert (await refusal(admin.SetOperatorRoles(request))).code == code
        request = pb.SetOperatorRolesRequest(name="nobody", add=["viewer"])
        assert (await refusal(admin.SetOperatorRoles(request))).code == "no-operator"

    in_server(mongo_uri, story)


def test_the_last_admin_stays(mongo_uri):
    async def story(server):
        admin = operators(server, await server.operator())
        for attempt in (
            admin.SetOperatorRoles(pb.SetOperatorRolesRequest(name="alice", remove=["admin"])),
            admin.RevokeOperator(pb.RevokeOperatorRequest(name="alice")),
            admin.InviteOperator(pb.InviteOperatorRequest(name="alice", roles=["viewer"])),
        ):
            assert (await refusal(attempt)).code == "last-admin"
        await server.operator("bob", ("admin",))
        # Of two admins who take each other's role at once, one keeps it.
        results = await asyncio.gather(
            *(
                admin.SetOperatorRoles(
                    pb.SetOperatorRolesRequest(name=name, remove=["admin"], add=["viewer"])
                )
                for name in ("alice", "bob")
            ),
            return_exceptions=True,
        )
        assert [isinstance(one, Exception) for one in results].count(True) == 1

    in_server(mongo_uri, story)


def test_an_admin_who_was_away_for_too_long_does_not_count(mongo_uri):
    async def story(server):
        admin = operators(server, await server.operator())
        await server.operator("bob", ("admin",))
        bob = await server.stores.operators.get("bob")
        ended = server.clock() - timedelta(days=61)
        await server.stores.operators.put(replace(bob, certificate_expires_time=ended))
        request = pb.RevokeOperatorRequest(name="alice")
        assert (await refusal(admin.RevokeOperator(request))).code == "last-admin"
        listed = await admin.ListOperators(pb.ListOperatorsRequest())
        assert [one.state for one in listed.operators] == ["active", "expired"]

    in_server(mongo_uri, story)


def test_revoking_ends_live_calls_and_withdraws_invitations(mongo_uri):
    async def story(server):
        admin = operators(server, await server.operator())
        bob = await server.operator("bob", ("viewer",))
        watch = health_pb2_grpc.HealthStub(server.channel(bob)).Watch(
            health_pb2.HealthCheckRequest()
        )
        await watch.read()
        again = await admin.InviteOperator(pb.InviteOperatorRequest(name="bob", roles=["admin"]))
        await admin.RevokeOperator(pb.RevokeOperatorRequest(name="bob", reason="left"))
        with pytest.raises(grpc.RpcError) as caught:
            await watch.read()
        assert from_rpc_error(caught.value).code == "identity-ended"
        assert (await refusal(redeemed(server, "bob", again))).code == "invitation-refused"
        assert (await refusal(myself(server, bob))).code == "revoked"
        for _ in range(2):
            request = pb.RevokeOperatorRequest(name="nobody")
            assert (await refusal(admin.RevokeOperator(request))).code == "no-operator"
        assert (await actions(server))[-1][1] == "operator.revoke.failed"
        request = pb.SetOperatorRolesRequest(name="bob", add=["viewer"])
        assert (await refusal(admin.SetOperatorRoles(request))).code == "precondition-failed"
        # Who was only invited is revoked too.
        await admin.InviteOperator(pb.InviteOperatorRequest(name="carol", roles=["viewer"]))
        await admin.RevokeOperator(pb.RevokeOperatorRequest(name="carol"))
        assert not (await admin.ListOperators(pb.ListOperatorsRequest())).invitations

    in_server(mongo_uri, story)


def test_a_role_is_withheld_from_an_address_outside_its_networks(mongo_uri):
    async def story(server):
        admin = operators(server, await server.operator())
        bob = await server.operator("bob", ("viewer", "auditor"))
        watch = operators(server, bob)
        limit = pb.SetRoleRangesRequest(role="auditor", ranges=["::ffff:10.0.0.0/104"])
        limit.lock_out_self = True
        assert list((await admin.SetRoleRanges(limit)).ranges.ranges) == [ELSEWHERE]
        error = await refusal(watch.ListOperators(pb.ListOperatorsRequest()))
        assert (error.code, "address" in error.reason) == ("role-address", True)
        assert "operator ranges" in error.remedy
        assert list((await myself(server, bob)).roles) == ["viewer"]
        limit = pb.SetRoleRangesRequest(role="auditor", ranges=[ELSEWHERE, "::ffff:127.0.0.1"])
        await admin.SetRoleRanges(limit)
        await watch.ListOperators(pb.ListOperatorsRequest())
        listed = await admin.ListOperators(pb.ListOperatorsRequest())
        assert [(one.role, list(one.ranges)) for one in listed.ranges] == [
            ("auditor", [ELSEWHERE, "127.0.0.1/32"])
        ]

    in_server(mongo_uri, story)


def test_nobody_locks_themselves_out_unasked_and_the_server_lets_them_in_again(mongo_uri):
    async def story(server):
        admin = operators(server, await server.operator())
        limit = pb.SetRoleRangesRequest(role="admin", ranges=[ELSEWHERE, "2001:db8::/32"])
        error = await refusal(admin.SetRoleRanges(limit))
        assert (error.code, "127.0.0.1" in error.reason) == ("locked-out", True)
        limit.lock_out_self = True
        await admin.SetRoleRanges(limit)
        clear = pb.SetRoleRangesRequest(role="admin")
        assert (await refusal(admin.SetRoleRanges(clear))).code == "role-address"
        # As `penguind operator ranges admin --clear` does, in another process.
        await server.stores.role_ranges.put("admin", ())
        server.clock.move(seconds=2.1)
        await admin.SetRoleRanges(clear)

    in_server(mongo_uri, story)


def test_what_is_no_network_is_refused_clearly(mongo_uri):
    async def story(server):
        admin = operators(server, await server.operator())
        for text, words in (("10.1.2.3/8", "10.0.0.0/8"), ("office", "10.0.0.0/8"), ("", "/8")):
            limit = pb.SetRoleRangesRequest(role="viewer", ranges=[text])
            error = await refusal(admin.SetRoleRanges(limit))
            assert (error.code, words in error.remedy) == ("invalid-input", True)
        error = await refusal(admin.SetRoleRanges(pb.SetRoleRangesRequest(role="king")))
        assert error.code == "invalid-input"

    in_server(mongo_uri, story)
