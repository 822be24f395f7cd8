"""OperatorService: who may ask what of the server, and from where."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Any

from penguind.access import ROLES
from penguind.caller import caller
from penguind.identity.invitations import DEFAULT_TTL
from penguindome.errors import InvalidInput
from penguindome.times import to_unix_ms
from penguindome.v1 import operator_pb2 as pb
from penguindome.v1.operator_pb2_grpc import OperatorServiceServicer

if TYPE_CHECKING:
    from datetime import datetime

    from penguind.domain.advertised import Advertised
    from penguind.domain.operator import Operator
    from penguind.identity.operators import Operators
    from penguind.identity.ranges import RoleRanges
    from penguindome.times import Clock


class OperatorService(OperatorServiceServicer):
    """Serves admins, and auditors who look."""

    def __init__(
        self, operators: Operators, ranges: RoleRanges, advertised: Advertised, clock: Clock
    ) -> None:
        self._operators = operators
        self._ranges = ranges
        self._advertised = advertised
        self._clock = clock

    async def InviteOperator(  # noqa: N802 -- gRPC's
        self,
        request: pb.InviteOperatorRequest,
        context: Any,  # noqa: ARG002
    ) -> pb.InviteOperatorResponse:
        """Make an invitation; the secret is in this answer and nowhere else."""
        ttl = timedelta(seconds=request.ttl_seconds) or DEFAULT_TTL
        invitation_id, secret, expires_time = await self._operators.invite(
            request.name, request.roles, ttl, caller().name
        )
        return pb.InviteOperatorResponse(
            invitation_id=invitation_id,
            secret=secret,
            advertised_host=self._advertised.host,
            main_port=self._advertised.main_port,
            bootstrap_port=self._advertised.bootstrap_port,
            expires_unix_ms=to_unix_ms(expires_time),
        )

    async def ListOperators(  # noqa: N802 -- gRPC's
        self,
        request: pb.ListOperatorsRequest,  # noqa: ARG002
        context: Any,  # noqa: ARG002
    ) -> pb.ListOperatorsResponse:
        """Return everybody, who is invited, and what roles are limited to."""
        now = self._clock()
        found = await self._operators.everyone()
        return pb.ListOperatorsResponse(
            operators=[_operator(one, now) for one in found.operators],
            invitations=[
                pb.OpenInvitation(
                    name=one.name,
                    roles=one.roles,
                    created_by=one.created_by,
                    expires_unix_ms=to_unix_ms(one.expires_time),
                )
                for one in found.invitations
            ],
            ranges=[pb.RoleRanges(role=role, ranges=them) for role, them in found.ranges.items()],
        )

    async def SetOperatorRoles(  # noqa: N802 -- gRPC's
        self,
        request: pb.SetOperatorRolesRequest,
        context: Any,  # noqa: ARG002
    ) -> pb.SetOperatorRolesResponse:
        """Change roles."""
        roles = await self._operators.set_roles(request.name, request.add, request.remove)
        return pb.SetOperatorRolesResponse(roles=roles)

    async def RevokeOperator(  # noqa: N802 -- gRPC's
        self,
        request: pb.RevokeOperatorRequest,
        context: Any,  # noqa: ARG002
    ) -> pb.RevokeOperatorResponse:
        """End an operator's access."""
        await self._operators.revoke(request.name)
        return pb.RevokeOperatorResponse()

    async def SetRoleRanges(  # noqa: N802 -- gRPC's
        self,
        request: pb.SetRoleRangesRequest,
        context: Any,  # noqa: ARG002
    ) -> pb.SetRoleRangesResponse:
        """Limit a role to networks."""
        if request.role not in ROLES:
            raise InvalidInput(
                "not a role", subject=request.role[:64], remedy=f"the roles are {', '.join(ROLES)}"
            )
        ranges = await self._ranges.put(
            request.role, request.ranges, caller(), lock_out_self=request.lock_out_self
        )
        return pb.SetRoleRangesResponse(ranges=pb.RoleRanges(role=request.role, ranges=ranges))


def _operator(one: Operator, now: datetime) -> pb.Operator:
    ended = "expired" if one.certificate_expires_time < now else "active"
    return pb.Operator(
        name=one.name,
        roles=one.roles,
        state="revoked" if one.revoked else ended,
        joined_unix_ms=to_unix_ms(one.joined_time),
        certificate_expires_unix_ms=to_unix_ms(one.certificate_expires_time),
    )
