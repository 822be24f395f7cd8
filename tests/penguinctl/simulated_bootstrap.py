"""What the simulated server answers to those who have no certificate."""

import secrets

from penguindome.errors import Forbidden, Unauthenticated
from penguindome.keys import verify
from penguindome.possession import renew_operator_bytes
from penguindome.v1 import bootstrap_pb2, bootstrap_pb2_grpc
from tests.penguinctl.simulated_services import Base


class Bootstrap(Base, bootstrap_pb2_grpc.BootstrapServiceServicer):
    def RedeemInvitation(self, request, context):  # noqa: N802 -- gRPC's name
        entry = self.simulator.invitations.get(request.invitation_id)
        if entry is None or entry[0].secret != request.invitation_secret:
            raise Forbidden("the invitation is unknown, used or over", remedy="Ask for a new one")
        invitation, roles = entry
        if self.simulator.used.setdefault(request.invitation_id, request.csr) != request.csr:
            raise Forbidden("the invitation was used already", remedy="Ask for a new one")
        self.state.roles = roles
        return bootstrap_pb2.RedeemInvitationResponse(
            operator_name=invitation.operator_name,
            certificate=self.simulator.operator_certificate(invitation.operator_name, request.csr),
            roles=roles,
        )

    def Begin(self, request, context):  # noqa: N802
        self.simulator.nonces.add(nonce := secrets.token_bytes(32))
        return bootstrap_pb2.BeginResponse(nonce=nonce)

    def RenewOperator(self, request, context):  # noqa: N802
        self.simulator.nonces.remove(request.nonce)
        data = renew_operator_bytes(request.nonce, request.operator_name)
        if not verify(self.simulator.keys[request.operator_name], data, request.signature):
            raise Unauthenticated("the caller does not hold the recorded key")
        return bootstrap_pb2.RenewOperatorResponse(
            certificate=self.simulator.renewed_certificate(request.operator_name)
        )


def add_bootstrap(server, simulator):
    bootstrap_pb2_grpc.add_BootstrapServiceServicer_to_server(Bootstrap(simulator), server)
