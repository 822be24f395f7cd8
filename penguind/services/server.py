"""ServerService: the server itself, as operators see it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from penguind.caller import caller
from penguind.services.convert_device import unix_ms
from penguindome.v1 import server_pb2 as pb
from penguindome.v1.server_pb2_grpc import ServerServiceServicer

if TYPE_CHECKING:
    from penguind.domain.advertised import Advertised
    from penguind.status import ServerStatus


class ServerService(ServerServiceServicer):
    """Serves operators."""

    def __init__(self, status: ServerStatus, advertised: Advertised) -> None:
        self._status = status
        self._advertised = advertised

    async def GetServerStatus(  # noqa: N802 -- gRPC's
        self,
        request: pb.GetServerStatusRequest,  # noqa: ARG002
        context: Any,  # noqa: ARG002
    ) -> pb.GetServerStatusResponse:
        """Tell how the server is."""
        facts = await self._status.facts()
        return pb.GetServerStatusResponse(
            version=facts.version,
            fleet_id=facts.fleet_id,
            started_unix_ms=unix_ms(facts.started_time),
            time_unix_ms=unix_ms(facts.time),
            connected_devices=facts.connected_devices,
            devices=facts.devices,
            open_issues=facts.open_issues,
            database=facts.database,
            server_certificate_expires_unix_ms=unix_ms(facts.certificate_expires_time),
            trust_version=facts.trust_version,
            reports_stored=facts.reports_stored,
            problems=facts.problems,
            last_audit_unix_ms=unix_ms(facts.last_audit_time),
        )

    async def GetSelf(  # noqa: N802 -- gRPC's
        self,
        request: pb.GetSelfRequest,  # noqa: ARG002
        context: Any,  # noqa: ARG002
    ) -> pb.GetSelfResponse:
        """Tell the caller who it is here."""
        who = caller()
        return pb.GetSelfResponse(
            name=who.name,
            roles=sorted(who.roles),
            advertised_host=self._advertised.host,
            certificate_expires_unix_ms=unix_ms(who.expires_time),
        )
