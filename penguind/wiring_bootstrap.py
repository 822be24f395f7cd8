"""Building what bootstrap listeners serve, and what watches who uses which listener."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from penguind.identity.enrollment import Enrollment
from penguind.identity.invitations import Redemption
from penguind.identity.renewal import Renewal
from penguind.listeners import Served
from penguind.own_issues import OwnIssues
from penguind.port_watch import PortWatch
from penguind.services.bootstrap import BootstrapService
from penguindome.v1 import bootstrap_pb2, bootstrap_pb2_grpc

if TYPE_CHECKING:
    from penguind.checkin import CheckIns
    from penguind.wiring_base import Base, Judging


def make_port_watch(base: Base, judging: Judging, check_ins: CheckIns) -> PortWatch:
    """Build what finds devices on deprecated listeners; its `run` has to run."""
    return PortWatch(
        listeners=base.settings.listeners,
        presence=base.presence,
        issues=OwnIssues(base.stores.issues, judging.checks, judging.push),
        hostname=check_ins.hostname,
        clock=base.clock,
    )


def bootstrap_services(base: Base, ports: PortWatch) -> list[Served]:
    """Return what callers without a certificate get."""
    stores, clock, identities = base.stores, base.clock, base.identities
    service = BootstrapService(
        enrollment=Enrollment(
            devices=stores.devices,
            tokens=stores.tokens,
            states=stores.states,
            identities=identities,
            authority=base.authority,
            nonces=base.nonces,
            ledger=base.ledger,
            clock=clock,
        ),
        renewal=Renewal(
            devices=stores.devices,
            operators=stores.operators,
            identities=identities,
            history=base.key_history,
            authority=base.authority,
            nonces=base.nonces,
            ledger=base.ledger,
            clock=clock,
        ),
        redemption=Redemption(
            invitations=stores.invitations,
            operators=stores.operators,
            identities=identities,
            authority=base.authority,
            ledger=base.ledger,
            clock=clock,
        ),
        trust=base.trust,
        clock=clock,
        note=ports.note,
    )
    descriptor = bootstrap_pb2.DESCRIPTOR.services_by_name["BootstrapService"]
    add: Any = bootstrap_pb2_grpc.add_BootstrapServiceServicer_to_server
    return [Served(descriptor, lambda server: add(service, server))]
