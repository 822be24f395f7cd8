"""Building the services of main listeners."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from penguind.directory import Directory
from penguind.identity.authority import load_anchors
from penguind.identity.custody import Custody
from penguind.issues import IssueDesk
from penguind.listeners import Served
from penguind.parameters import Parameters
from penguind.services.agent import AgentService
from penguind.services.alert import AlertService
from penguind.services.check import CheckService
from penguind.services.device import DeviceService
from penguind.services.issue import IssueService
from penguind.services.ledger import LedgerService
from penguind.services.parameter import ParameterService
from penguind.services.server import ServerService
from penguind.services.token import TokenService
from penguind.services.trail import TrailService
from penguind.snoozing import Snoozing
from penguind.standing_audit import StandingAudit
from penguind.status import ServerStatus
from penguind.store.overview import Overview
from penguind.store.trail_queries import TrailQueries
from penguind.suspension import Suspensions
from penguind.trial import CheckTrial
from penguind.verdicts import VerdictView
from penguind.wiring_history import make_overview
from penguind.wiring_identity import make_blocking, make_operator_service, make_trust_service
from penguindome.v1 import (
    agent_pb2,
    agent_pb2_grpc,
    alert_pb2,
    alert_pb2_grpc,
    check_pb2,
    check_pb2_grpc,
    device_pb2,
    device_pb2_grpc,
    issue_pb2,
    issue_pb2_grpc,
    ledger_pb2,
    ledger_pb2_grpc,
    operator_pb2,
    operator_pb2_grpc,
    order_pb2,
    order_pb2_grpc,
    parameter_pb2,
    parameter_pb2_grpc,
    release_pb2,
    release_pb2_grpc,
    server_pb2,
    server_pb2_grpc,
    shell_pb2,
    shell_pb2_grpc,
    token_pb2,
    token_pb2_grpc,
    trail_pb2,
    trail_pb2_grpc,
    trust_pb2,
    trust_pb2_grpc,
)

if TYPE_CHECKING:
    from collections.abc import Sequence
    from typing import Any

    from penguind.checkin import CheckIns
    from penguind.flooding import FloodWatch
    from penguind.history import History
    from penguind.watch.worker import Watch
    from penguind.wiring_alerts import Alerting
    from penguind.wiring_base import Base, Judging
    from penguind.wiring_orders import Ordering
    from penguind.wiring_releases import Releases
    from penguind.wiring_shells import Shells


@dataclass(frozen=True, slots=True)
class Parts:
    """What several services are made of, and has to run as well."""

    check_ins: CheckIns
    quota: FloodWatch
    alerting: Alerting
    history: History
    watch: Watch
    ordering: Ordering
    releases: Releases
    shells: Shells


def main_services(base: Base, judging: Judging, parts: Parts) -> list[Served]:
    """Return what callers with a certificate get."""
    alerting, ordering, releases = parts.alerting, parts.ordering, parts.releases
    agent = AgentService(
        check_ins=parts.check_ins,
        ingest=judging.ingest,
        rates=parts.quota,
        verdicts=VerdictView(base.stores.issues, judging.auditor),
        delivery=ordering.delivery,
        updates=ordering.updates,
        contents=releases.contents,
        clock=base.clock,
    )
    trail = TrailService(trail=TrailQueries(base.database), selector=base.selector)
    return [
        _served(agent_pb2, agent_pb2_grpc, "Agent", agent),
        _served(alert_pb2, alert_pb2_grpc, "Alert", AlertService(alerting.desk)),
        _served(check_pb2, check_pb2_grpc, "Check", _check(base, judging)),
        _served(device_pb2, device_pb2_grpc, "Device", _device(base, judging, ordering)),
        _served(issue_pb2, issue_pb2_grpc, "Issue", _issue(base, judging, alerting, parts.watch)),
        _served(ledger_pb2, ledger_pb2_grpc, "Ledger", LedgerService(base.ledger)),
        _served(operator_pb2, operator_pb2_grpc, "Operator", make_operator_service(base)),
        _served(order_pb2, order_pb2_grpc, "Order", ordering.service),
        _served(
            parameter_pb2, parameter_pb2_grpc, "Parameter", ParameterService(make_parameters(base))
        ),
        _served(release_pb2, release_pb2_grpc, "Release", releases.service),
        _served(server_pb2, server_pb2_grpc, "Server", _server(base, judging, parts.history)),
        _served(shell_pb2, shell_pb2_grpc, "Shell", parts.shells.service),
        _served(token_pb2, token_pb2_grpc, "Token", _token(base)),
        _served(trail_pb2, trail_pb2_grpc, "Trail", trail),
        _served(trust_pb2, trust_pb2_grpc, "Trust", make_trust_service(base)),
    ]


def _served(messages: Any, stubs: Any, noun: str, service: Any) -> Served:
    descriptor = messages.DESCRIPTOR.services_by_name[f"{noun}Service"]
    add = getattr(stubs, f"add_{noun}ServiceServicer_to_server")
    return Served(descriptor, lambda server: add(service, server))


def _check(base: Base, judging: Judging) -> CheckService:
    trial = CheckTrial(queries=judging.queries, devices=base.stores.devices)
    return CheckService(checks=judging.checks, trial=trial, clock=base.clock)


def _device(base: Base, judging: Judging, ordering: Ordering) -> DeviceService:
    stores = base.stores
    directory = Directory(
        devices=stores.devices,
        states=stores.states,
        issues=stores.issues,
        overview=Overview(base.database),
        parameters=stores.parameters,
        selector=base.selector,
    )
    return DeviceService(
        directory=directory,
        custody=_custody(base, judging, ordering),
        blocking=make_blocking(base, judging),
        suspensions=Suspensions(stores.devices, Overview(base.database), base.clock),
        presence=base.presence,
        devices=stores.devices,
        history=base.key_history,
        clock=base.clock,
    )


def _custody(base: Base, judging: Judging, ordering: Ordering) -> Custody:
    stores = base.stores

    def audit(device_ids: Sequence[str]) -> None:
        judging.auditor.request(device_ids)
        ordering.upkeep.devices_left()

    return Custody(
        devices=stores.devices,
        identities=base.identities,
        trust=base.trust,
        erasers=[
            stores.states.delete,
            stores.issues.delete_of_device,
            # Else the same request could bring a deleted device back.
            stores.tokens.forget_device,
            stores.ratchets.delete,
            stores.successions.delete_of_device,
            make_parameters(base).leave,
            ordering.upkeep.leave,
        ],
        audit=audit,
        clock=base.clock,
    )


def _issue(base: Base, judging: Judging, alerting: Alerting, watch: Watch) -> IssueService:
    issues = base.stores.issues
    desk = IssueDesk(
        issues=issues,
        devices=base.stores.devices,
        checks=judging.checks,
        selector=base.selector,
        push=judging.push,
        audit=judging.auditor.request,
    )
    return IssueService(
        desk=desk,
        snoozing=Snoozing(issues, judging.push),
        audit=StandingAudit(
            auditor=judging.auditor,
            look=watch.look,
            due=alerting.due,
            alerts=alerting.alerts,
            issues=issues,
        ),
        due=alerting.due,
        selector=base.selector,
        clock=base.clock,
    )


def make_parameters(base: Base) -> Parameters:
    """Build what changes parameters."""
    return Parameters(
        database=base.database,
        parameters=base.stores.parameters,
        devices=base.stores.devices,
        selector=base.selector,
        clock=base.clock,
    )


def _server(base: Base, judging: Judging, history: History) -> ServerService:
    status = ServerStatus(
        fleet_id=base.settings.server.fleet_id,
        database=base.database_name,
        devices=base.stores.devices,
        overview=Overview(base.database),
        presence=base.presence,
        trust=base.trust,
        certificate=base.certificate,
        problems=base.problems,
        reports_stored=lambda: judging.ingest.reports_stored,
        last_audit_time=lambda: judging.auditor.last_full_time,
        listeners=base.settings.listeners,
        certificates=base.certificates,
        clock=base.clock,
    )
    state_dir = base.settings.server.state_dir
    return ServerService(
        status,
        base.advertised,
        lambda: load_anchors(state_dir),
        history=history,
        overview=make_overview(base, judging, history),
        clock=base.clock,
    )


def _token(base: Base) -> TokenService:
    return TokenService(base.stores.tokens, base.advertised, base.clock)
