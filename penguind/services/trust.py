"""TrustService: the trust document, as operators handle it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from penguind.caller import caller
from penguind.services.convert_device import (
    envelope_from,
    envelope_message,
    trust_message,
    unix_ms,
)
from penguindome.v1 import trust_pb2 as pb
from penguindome.v1.trust_pb2_grpc import TrustServiceServicer

if TYPE_CHECKING:
    from penguind.domain.trust_proposal import Proposal
    from penguind.identity.trust import Trust
    from penguind.identity.trust_proposals import TrustProposals


class TrustService(TrustServiceServicer):
    """Serves operators."""

    def __init__(self, trust: Trust, proposals: TrustProposals) -> None:
        self._trust = trust
        self._proposals = proposals

    async def GetTrust(  # noqa: N802 -- gRPC's
        self,
        request: pb.GetTrustRequest,  # noqa: ARG002
        context: Any,  # noqa: ARG002
    ) -> pb.GetTrustResponse:
        """Return every version."""
        chain = await self._trust.chain(0)
        return pb.GetTrustResponse(documents=[trust_message(*item) for item in chain])

    async def PublishTrust(  # noqa: N802 -- gRPC's
        self,
        request: pb.PublishTrustRequest,
        context: Any,  # noqa: ARG002
    ) -> pb.PublishTrustResponse:
        """Store a signed version."""
        document = request.document
        await self._trust.publish(document.version, envelope_from(document.envelope))
        await self._proposals.settle(document.version)
        return pb.PublishTrustResponse()

    async def ProposeTrust(  # noqa: N802 -- gRPC's
        self,
        request: pb.ProposeTrustRequest,
        context: Any,  # noqa: ARG002
    ) -> pb.ProposeTrustResponse:
        """Keep the next version for others to sign."""
        document = request.document
        envelope = envelope_from(document.envelope)
        stored = await self._proposals.propose(
            document.version, request.base_sha256, envelope, caller().name
        )
        return pb.ProposeTrustResponse(proposal=_message(stored))

    async def SignProposal(  # noqa: N802 -- gRPC's
        self,
        request: pb.SignProposalRequest,
        context: Any,  # noqa: ARG002
    ) -> pb.SignProposalResponse:
        """Add one signature."""
        stored = await self._proposals.sign(
            request.version, request.payload_sha256, request.signature
        )
        return pb.SignProposalResponse(proposal=_message(stored))

    async def GetProposal(  # noqa: N802 -- gRPC's
        self,
        request: pb.GetProposalRequest,  # noqa: ARG002
        context: Any,  # noqa: ARG002
    ) -> pb.GetProposalResponse:
        """Return what is proposed."""
        found = await self._proposals.get()
        return pb.GetProposalResponse(proposal=None if found is None else _message(found))

    async def WithdrawProposal(  # noqa: N802 -- gRPC's
        self,
        request: pb.WithdrawProposalRequest,
        context: Any,  # noqa: ARG002
    ) -> pb.WithdrawProposalResponse:
        """Throw the proposal away."""
        await self._proposals.withdraw(request.version, request.payload_sha256, request.reason)
        return pb.WithdrawProposalResponse()


def _message(proposal: Proposal) -> pb.TrustProposal:
    return pb.TrustProposal(
        version=proposal.version,
        envelope=envelope_message(proposal.envelope),
        proposed_by=proposal.proposed_by,
        proposed_unix_ms=unix_ms(proposal.proposed_time),
    )
