"""What the simulated server knows of operators, and of devices that are cut off."""

from __future__ import annotations

from penguindome.v1 import device_pb2, operator_pb2, operator_pb2_grpc

LATER_MS = 2_000_000_000_000


class Blocking:
    """Belongs to the simulated service of devices, which has its `state`."""

    def BlockDevice(self, request, context):  # noqa: N802
        device = self.state.one(request.device_id)
        changed = device.state != "blocked"
        device.state, device.held_by, device.held_reason = "blocked", "alice", request.reason
        return device_pb2.BlockDeviceResponse(blocked=changed)

    def UnblockDevice(self, request, context):  # noqa: N802
        device = self.state.one(request.device_id)
        changed = device.state == "blocked"
        device.state, device.held_by, device.held_reason = "active", "", ""
        return device_pb2.UnblockDeviceResponse(unblocked=changed)


class Operators(operator_pb2_grpc.OperatorServiceServicer):
    def InviteOperator(self, request, context):  # noqa: N802
        return operator_pb2.InviteOperatorResponse(
            invitation_id=bytes(8),
            secret=bytes(32),
            advertised_host="penguind.example.com",
            main_port=1,
            bootstrap_port=2,
            expires_unix_ms=LATER_MS,
        )

    def ListOperators(self, request, context):  # noqa: N802
        alice = operator_pb2.Operator(
            name="alice", roles=["admin"], state="active", certificate_expires_unix_ms=LATER_MS
        )
        bob = operator_pb2.OpenInvitation(
            name="bob", roles=["viewer"], created_by="alice", expires_unix_ms=LATER_MS
        )
        limit = operator_pb2.RoleRanges(role="admin", ranges=["10.0.0.0/8"])
        return operator_pb2.ListOperatorsResponse(
            operators=[alice], invitations=[bob], ranges=[limit]
        )

    def SetOperatorRoles(self, request, context):  # noqa: N802
        return operator_pb2.SetOperatorRolesResponse(roles=sorted(request.add))

    def RevokeOperator(self, request, context):  # noqa: N802
        return operator_pb2.RevokeOperatorResponse()

    def SetRoleRanges(self, request, context):  # noqa: N802
        limit = operator_pb2.RoleRanges(role=request.role, ranges=request.ranges)
        return operator_pb2.SetRoleRangesResponse(ranges=limit)


def add(server):
    operator_pb2_grpc.add_OperatorServiceServicer_to_server(Operators(), server)
