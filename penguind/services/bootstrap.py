"""BootstrapService: getting and renewing an identity."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from penguind.caller import caller
from penguind.domain.enrollment import Application
from penguind.peers import peer_address
from penguind.services.convert_device import envelope_message, succession_from, trust_message
from penguindome.times import to_unix_ms
from penguindome.v1 import bootstrap_pb2 as pb
from penguindome.v1.bootstrap_pb2_grpc import BootstrapServiceServicer

if TYPE_CHECKING:
    from collections.abc import Callable

    from penguind.identity.enrollment import Enrollment
    from penguind.identity.invitations import Redemption
    from penguind.identity.renewal import Renewal
    from penguind.identity.trust import Trust
    from penguindome.times import Clock

_STATES = {
    "pending": pb.ENROLLMENT_STATE_PENDING,
    "active": pb.ENROLLMENT_STATE_ACTIVE,
    "rejected": pb.ENROLLMENT_STATE_REJECTED,
}


class BootstrapService(BootstrapServiceServicer):
    """Serves callers without a certificate; `note` hears which device renewed on which listener."""

    def __init__(
        self,
        *,
        enrollment: Enrollment,
        renewal: Renewal,
        redemption: Redemption,
        trust: Trust,
        clock: Clock,
        note: Callable[[str, str], None],
    ) -> None:
        self._enrollment = enrollment
        self._renewal = renewal
        self._redemption = redemption
        self._trust = trust
        self._clock = clock
        self._note = note

    async def Begin(  # noqa: N802 -- gRPC's
        self,
        request: pb.BeginRequest,  # noqa: ARG002
        context: Any,  # noqa: ARG002
    ) -> pb.BeginResponse:
        """Hand out a nonce."""
        trust = await self._trust.current()
        return pb.BeginResponse(
            nonce=self._enrollment.begin(),
            server_time_unix_ms=to_unix_ms(self._clock()),
            trust_version=0 if trust is None else trust.version,
        )

    async def GetTrustChain(  # noqa: N802 -- gRPC's
        self,
        request: pb.GetTrustChainRequest,
        context: Any,  # noqa: ARG002
    ) -> pb.GetTrustChainResponse:
        """Return the signed trust documents after a version."""
        chain = await self._trust.chain(request.after_version)
        return pb.GetTrustChainResponse(documents=[trust_message(*item) for item in chain])

    async def Enroll(  # noqa: N802 -- gRPC's
        self,
        request: pb.EnrollRequest,
        context: Any,  # noqa: ARG002
    ) -> pb.EnrollResponse:
        """Redeem a token."""
        outcome = await self._enrollment.enroll(_application(request), peer_address(caller().peer))
        return pb.EnrollResponse(
            state=_STATES[outcome.state],
            device_id=outcome.device_id,
            certificate=outcome.certificate,
            poll_after_seconds=outcome.poll_after_seconds,
        )

    async def PollEnrollment(  # noqa: N802 -- gRPC's
        self,
        request: pb.PollEnrollmentRequest,
        context: Any,  # noqa: ARG002
    ) -> pb.PollEnrollmentResponse:
        """Tell an applicant where it stands."""
        outcome = await self._enrollment.poll(request.nonce, request.device_id, request.signature)
        approval = outcome.approval
        return pb.PollEnrollmentResponse(
            state=_STATES[outcome.state],
            certificate=outcome.certificate,
            approval=None if approval is None else envelope_message(approval),
            poll_after_seconds=outcome.poll_after_seconds,
        )

    async def RenewDevice(  # noqa: N802 -- gRPC's
        self,
        request: pb.RenewDeviceRequest,
        context: Any,  # noqa: ARG002
    ) -> pb.RenewDeviceResponse:
        """Replace a device certificate."""
        outcome = await self._renewal.renew(
            request.nonce,
            request.device_id,
            request.csr,
            request.signature,
            [succession_from(one) for one in request.successions],
        )
        self._note(request.device_id, caller().listener)
        return pb.RenewDeviceResponse(
            state=_STATES[outcome.state],
            certificate=outcome.certificate,
            poll_after_seconds=outcome.poll_after_seconds,
        )

    async def RedeemInvitation(  # noqa: N802 -- gRPC's
        self,
        request: pb.RedeemInvitationRequest,
        context: Any,  # noqa: ARG002
    ) -> pb.RedeemInvitationResponse:
        """Make the holder of an invitation an operator."""
        operator, issued = await self._redemption.redeem(
            request.invitation_id, request.invitation_secret, request.csr
        )
        return pb.RedeemInvitationResponse(
            operator_name=operator.name, certificate=issued.certificate, roles=operator.roles
        )

    async def RenewOperator(  # noqa: N802 -- gRPC's
        self,
        request: pb.RenewOperatorRequest,
        context: Any,  # noqa: ARG002
    ) -> pb.RenewOperatorResponse:
        """Replace an operator certificate."""
        issued = await self._renewal.renew_operator(
            request.nonce, request.operator_name, request.signature
        )
        return pb.RenewOperatorResponse(certificate=issued.certificate)


def _application(request: pb.EnrollRequest) -> Application:
    return Application(
        nonce=request.nonce,
        token_id=request.token_id,
        token_secret=request.token_secret,
        csr=request.csr,
        hostname=request.hostname,
        hints=dict(request.hints),
        agent_version=request.agent_version,
        os_name=request.os_name,
        signature=request.signature,
    )
