"""ServerService: the server itself, as operators see it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from penguind.caller import caller
from penguind.services.convert_device import unix_ms
from penguind.services.convert_overview import glance_to_message, sample_to_message
from penguindome import certs
from penguindome.times import from_unix_ms
from penguindome.v1 import server_pb2 as pb
from penguindome.v1.server_pb2_grpc import ServerServiceServicer

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from penguind.domain.advertised import Advertised
    from penguind.history import History
    from penguind.identity.authority import Anchor
    from penguind.overview import FleetOverview
    from penguind.status import ListenerFacts, ServerStatus
    from penguindome.times import Clock


class ServerService(ServerServiceServicer):
    """Serves operators."""

    def __init__(
        self,
        status: ServerStatus,
        advertised: Advertised,
        anchors: Callable[[], Sequence[Anchor]],
        *,
        history: History,
        overview: FleetOverview,
        clock: Clock,
    ) -> None:
        self._status = status
        self._advertised = advertised
        self._anchors = anchors
        self._history = history
        self._overview = overview
        self._clock = clock

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
            listeners=[_listener(one) for one in facts.listeners],
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

    async def ListAnchors(  # noqa: N802 -- gRPC's
        self,
        request: pb.ListAnchorsRequest,  # noqa: ARG002
        context: Any,  # noqa: ARG002
    ) -> pb.ListAnchorsResponse:
        """Tell by which anchors the server can prove itself."""
        return pb.ListAnchorsResponse(
            anchors=[
                pb.Anchor(
                    certificate=certs.pem_to_der(one.certificate),
                    cross_certificate=certs.pem_to_der(one.cross) if one.cross else b"",
                )
                for one in self._anchors()
            ]
        )

    async def ListHistory(  # noqa: N802 -- gRPC's
        self,
        request: pb.ListHistoryRequest,
        context: Any,  # noqa: ARG002
    ) -> pb.ListHistoryResponse:
        """Tell how it was."""
        since = from_unix_ms(request.since_unix_ms)
        samples = await self._history.list(since, request.limit)
        return pb.ListHistoryResponse(samples=map(sample_to_message, samples))

    async def GetOverview(  # noqa: N802 -- gRPC's
        self,
        request: pb.GetOverviewRequest,
        context: Any,  # noqa: ARG002
    ) -> pb.GetOverviewResponse:
        """Tell how the fleet is."""
        now = self._clock()
        glance = await self._overview.glance(request.selectors, request.days, now)
        return glance_to_message(glance, self._status.fleet_id)


def _listener(facts: ListenerFacts) -> pb.Listener:
    one = facts.settings
    return pb.Listener(
        name=one.name,
        kind=one.kind,
        address=one.address,
        port=one.port,
        advertised_host=one.advertised_host,
        advertised_port=one.advertised_port,
        deprecated=one.deprecated,
        certificate_expires_unix_ms=unix_ms(facts.certificate_expires_time),
        connected_devices=facts.connected_devices,
    )
