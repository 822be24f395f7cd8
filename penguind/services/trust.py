"""TrustService: the trust document, as operators handle it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from penguind.services.convert_device import envelope_from, trust_message
from penguindome.v1 import trust_pb2 as pb
from penguindome.v1.trust_pb2_grpc import TrustServiceServicer

if TYPE_CHECKING:
    from penguind.identity.trust import Trust


class TrustService(TrustServiceServicer):
    """Serves operators."""

    def __init__(self, trust: Trust) -> None:
        self._trust = trust

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
        return pb.PublishTrustResponse()
