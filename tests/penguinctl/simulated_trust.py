"""What the simulated server says about trust documents; it verifies nothing."""

import hashlib

from penguindome.errors import AlreadyExists, NotFound, PreconditionFailed
from penguindome.v1 import trust_pb2


class SimulatedTrust:
    """The simulated TrustService."""

    def GetTrust(self, request, context):  # noqa: N802
        return trust_pb2.GetTrustResponse(documents=self.state.trust)

    def PublishTrust(self, request, context):  # noqa: N802
        held = [item.version for item in self.state.trust]
        if request.document in self.state.trust:
            return trust_pb2.PublishTrustResponse()
        if request.document.version in held:
            raise AlreadyExists("the fleet has a trust document")
        self.state.trust.append(request.document)
        self.state.proposal = None
        return trust_pb2.PublishTrustResponse()

    def ProposeTrust(self, request, context):  # noqa: N802
        self.state.proposal = trust_pb2.TrustProposal(
            version=request.document.version,
            envelope=request.document.envelope,
            proposed_by="alice",
            proposed_unix_ms=1_700_000_000_000,
        )
        return trust_pb2.ProposeTrustResponse(proposal=self.state.proposal)

    def SignProposal(self, request, context):  # noqa: N802
        self.check_proposal(request)
        self.state.proposal.envelope.signatures.append(request.signature)
        signed = self.state.said_signed or self.state.proposal
        return trust_pb2.SignProposalResponse(proposal=signed)

    def GetProposal(self, request, context):  # noqa: N802
        found = self.state.shown_next.pop(0) if self.state.shown_next else self.state.proposal
        return trust_pb2.GetProposalResponse(proposal=found)

    def WithdrawProposal(self, request, context):  # noqa: N802
        self.check_proposal(request)
        self.state.proposal = None
        return trust_pb2.WithdrawProposalResponse()

    def check_proposal(self, request):
        held = self.state.proposal
        if held is None or held.version != request.version:
            raise NotFound("there is no such proposal")
        if hashlib.sha256(held.envelope.payload).digest() != request.payload_sha256:
            raise PreconditionFailed("another proposal took its place")
