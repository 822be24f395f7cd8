"""What the simulated server answers: one servicer per noun over one State."""

from dataclasses import dataclass, field

from penguindome import chain, selectors
from penguindome.errors import InvalidInput, NotFound
from penguindome.v1 import (
    check_pb2,
    check_pb2_grpc,
    device_pb2,
    device_pb2_grpc,
    issue_pb2,
    issue_pb2_grpc,
    ledger_pb2,
    ledger_pb2_grpc,
    server_pb2,
    server_pb2_grpc,
    token_pb2,
    token_pb2_grpc,
    trail_pb2,
    trail_pb2_grpc,
    trust_pb2,
    trust_pb2_grpc,
)
from tests.penguinctl.simulated_anchors import Anchors
from tests.penguinctl.simulated_keys import KeyShowing
from tests.penguinctl.simulated_operators import Blocking
from tests.penguinctl.simulated_quiet import Snoozing, Suspending
from tests.penguinctl.simulated_trust import SimulatedTrust


@dataclass
class State:
    """What the server holds; tests fill it with messages."""

    fleet: str
    roles: tuple = ("admin",)
    devices: list = field(default_factory=list)
    outputs: list = field(default_factory=list)
    successions: list = field(default_factory=list)
    tokens: list = field(default_factory=list)
    issues: list = field(default_factory=list)
    overview: object = field(default_factory=server_pb2.GetOverviewResponse)
    history: list = field(default_factory=list)
    held_back: dict = field(default_factory=dict)
    checks: list = field(default_factory=list)
    parameters: list = field(default_factory=list)
    problems: list = field(default_factory=list)
    verdicts: object = None
    trail: list = field(default_factory=list)
    ledger: list = field(default_factory=list)
    trust: list = field(default_factory=list)
    proposal: trust_pb2.TrustProposal | None = None
    # What GetProposal answers next, and what SignProposal answers, where a test lies.
    shown_next: list = field(default_factory=list)
    said_signed: trust_pb2.TrustProposal | None = None

    def picked(self, terms, states=("active",)):
        selector = selectors.parse_selector(terms)
        found = [item for item in self.devices if item.state in states]
        found = [i for i in found if selectors.matches_name(selector, i.hostname, i.device_id)]
        found = [i for i in found if set(selector.labels) <= set(i.labels)]
        return [i for i in found if set(selector.failing) <= set(i.open_issues)]

    def one(self, name):
        found = [d for d in self.devices if name in (d.device_id, d.hostname)]
        if not found:
            raise NotFound("no such device", subject=name)
        return found[0]

    def append_ledger(self, action, target, number=None):
        previous = self.ledger[-1].hash if self.ledger else chain.GENESIS
        row = ledger_pb2.LedgerRow(
            number=number or len(self.ledger) + 1,
            time_unix_ms=1_700_000_000_000 + len(self.ledger),
            actor="operator/alice",
            action=action,
            target=target,
            details=b'{"reason":"test"}',
            previous_hash=previous,
        )
        row.hash = chain.row_hash(
            previous=previous,
            number=row.number,
            time_unix_ms=row.time_unix_ms,
            actor=row.actor,
            action=row.action,
            target=row.target,
            details=row.details,
        )
        self.ledger.append(row)


class Base:
    def __init__(self, simulator):
        self.simulator = simulator

    @property
    def state(self):
        return self.simulator.state


class Device(Blocking, Suspending, KeyShowing, Base, device_pb2_grpc.DeviceServiceServicer):
    def ListDevices(self, request, context):  # noqa: N802
        states = request.states or ("pending", "active", "blocked")
        return device_pb2.ListDevicesResponse(devices=self.state.picked(request.selectors, states))

    def GetDevice(self, request, context):  # noqa: N802
        device = self.state.one(request.device)
        return device_pb2.GetDeviceResponse(device=device, outputs=self.state.outputs)

    def ApproveDevice(self, request, context):  # noqa: N802
        self.state.one(request.device_id).state = "active"
        return device_pb2.ApproveDeviceResponse()

    def RevokeDevice(self, request, context):  # noqa: N802
        self.state.one(request.device_id).state = "revoked"
        return device_pb2.RevokeDeviceResponse()

    def DeleteDevice(self, request, context):  # noqa: N802
        self.state.devices.remove(self.state.one(request.device_id))
        return device_pb2.DeleteDeviceResponse()

    def LabelDevice(self, request, context):  # noqa: N802
        device = self.state.one(request.device_id)
        device.labels[:] = sorted((set(device.labels) | set(request.add)) - set(request.remove))
        return device_pb2.LabelDeviceResponse(labels=device.labels)

    def CollectDevice(self, request, context):  # noqa: N802
        return device_pb2.CollectDeviceResponse(
            delivered=self.state.one(request.device_id).connected
        )


class Token(Base, token_pb2_grpc.TokenServiceServicer):
    def CreateToken(self, request, context):  # noqa: N802
        return token_pb2.CreateTokenResponse(
            token_id=bytes(range(8)),
            secret=bytes(32),
            advertised_host="penguind.example.com",
            main_port=7443,
            bootstrap_port=7444,
            expires_unix_ms=2_000_000_000_000,
        )

    def ListTokens(self, request, context):  # noqa: N802
        return token_pb2.ListTokensResponse(tokens=self.state.tokens)

    def RevokeToken(self, request, context):  # noqa: N802
        if request.token_id not in [item.token_id for item in self.state.tokens]:
            raise NotFound("no such token", subject=request.token_id)
        return token_pb2.RevokeTokenResponse()


class Issue(Snoozing, Base, issue_pb2_grpc.IssueServiceServicer):
    def ListIssues(self, request, context):  # noqa: N802
        ids = {d.device_id for d in self.state.picked(request.selectors)}
        found = [
            i
            for i in self.state.issues
            if (i.state == "open" or request.include_closed)
            and (not request.selectors or i.device_id in ids)
            and (not request.names or i.name in request.names)
        ]
        return issue_pb2.ListIssuesResponse(issues=found)

    def GetIssue(self, request, context):  # noqa: N802
        found = [i for i in self.state.issues if i.issue_id == request.issue_id]
        if not found:
            raise NotFound("no such issue", subject=request.issue_id)
        return issue_pb2.GetIssueResponse(issue=found[0])

    def OpenIssue(self, request, context):  # noqa: N802
        for item in self.state.issues:
            if (item.device_id, item.name, item.state) == (request.device_id, request.name, "open"):
                return issue_pb2.OpenIssueResponse(issue=item, opened=False)
        item = issue_pb2.Issue(
            issue_id=f"01HZY3J5Q0G7X8K9M2N4P6R8{len(self.state.issues):02}",
            device_id=request.device_id,
            hostname=self.state.one(request.device_id).hostname,
            name=request.name,
            severity=request.severity or "medium",
            state="open",
        )
        self.state.issues.append(item)
        return issue_pb2.OpenIssueResponse(issue=item, opened=True)

    def CloseIssues(self, request, context):  # noqa: N802
        if len(request.issue_ids) > 1000:
            raise InvalidInput("more than 1000 issues at once")
        wanted = [i for i in self.state.issues if i.issue_id in request.issue_ids]
        closed = [i for i in wanted if i.state == "open"]
        for item in closed:
            item.state = "closed"
        return issue_pb2.CloseIssuesResponse(closed=closed)


class Check(Base, check_pb2_grpc.CheckServiceServicer):
    def ListChecks(self, request, context):  # noqa: N802
        return check_pb2.ListChecksResponse(checks=self.state.checks, problems=self.state.problems)

    def GetCheck(self, request, context):  # noqa: N802
        found = [c for c in self.state.checks if c.name == request.name]
        if not found:
            raise NotFound("no such check", subject=request.name)
        return check_pb2.GetCheckResponse(check=found[0], verdicts=self.state.verdicts)

    def TestCheck(self, request, context):  # noqa: N802
        check = check_pb2.Check(name="tested", source=request.source, severity="low")
        return check_pb2.TestCheckResponse(check=check, verdicts=self.state.verdicts)


class Trail(Base, trail_pb2_grpc.TrailServiceServicer):
    def ListTrail(self, request, context):  # noqa: N802
        found = [e for e in self.state.trail if e.key.startswith(request.key_prefix)]
        if request.device_id:
            found = [e for e in found if e.device_id == request.device_id]
        if request.selectors:
            ids = {d.device_id for d in self.state.picked(request.selectors)}
            found = [e for e in found if e.device_id in ids]
        found = [e for e in found if e.received_unix_ms >= request.since_unix_ms]
        limit = request.limit or 100
        return trail_pb2.ListTrailResponse(entries=found[:limit], more=len(found) > limit)


class Ledger(Base, ledger_pb2_grpc.LedgerServiceServicer):
    def ListLedger(self, request, context):  # noqa: N802
        rows = [row for row in self.state.ledger if row.number > request.after]
        return ledger_pb2.ListLedgerResponse(rows=rows[: request.limit or 1000])

    def GetLedgerHead(self, request, context):  # noqa: N802
        if not self.state.ledger:
            return ledger_pb2.GetLedgerHeadResponse()
        row = self.state.ledger[-1]
        return ledger_pb2.GetLedgerHeadResponse(
            number=row.number, hash=row.hash, time_unix_ms=row.time_unix_ms
        )


class Trust(SimulatedTrust, Base, trust_pb2_grpc.TrustServiceServicer):
    """Documents and proposals."""


class Server(Anchors, Base, server_pb2_grpc.ServerServiceServicer):
    def GetOverview(self, request, context):  # noqa: N802
        return self.state.overview

    def ListHistory(self, request, context):  # noqa: N802
        return server_pb2.ListHistoryResponse(samples=self.state.history)

    def GetServerStatus(self, request, context):  # noqa: N802
        return server_pb2.GetServerStatusResponse(
            version="0.1.0",
            fleet_id=self.state.fleet,
            started_unix_ms=1_700_000_000_000,
            time_unix_ms=1_700_000_100_000,
            connected_devices=3,
            devices={"active": 4, "pending": 1},
            open_issues={"high": 2},
            database="embedded 6.0.5",
            trust_version=len(self.state.trust),
            reports_stored=17,
            problems=self.state.problems and ["the disk is nearly full"],
            listeners=[
                server_pb2.Listener(
                    name="main",
                    kind="main",
                    address="::",
                    port=7443,
                    advertised_host="penguind.example.com",
                    advertised_port=443,
                    deprecated=True,
                    certificate_expires_unix_ms=2_000_000_000_000,
                    connected_devices=3,
                )
            ],
        )

    def GetSelf(self, request, context):  # noqa: N802
        return server_pb2.GetSelfResponse(
            name="alice",
            roles=self.state.roles,
            advertised_host="penguind.example.com",
            certificate_expires_unix_ms=2_000_000_000_000,
        )


def add_main(server, simulator):
    device_pb2_grpc.add_DeviceServiceServicer_to_server(Device(simulator), server)
    token_pb2_grpc.add_TokenServiceServicer_to_server(Token(simulator), server)
    issue_pb2_grpc.add_IssueServiceServicer_to_server(Issue(simulator), server)
    check_pb2_grpc.add_CheckServiceServicer_to_server(Check(simulator), server)
    trail_pb2_grpc.add_TrailServiceServicer_to_server(Trail(simulator), server)
    ledger_pb2_grpc.add_LedgerServiceServicer_to_server(Ledger(simulator), server)
    trust_pb2_grpc.add_TrustServiceServicer_to_server(Trust(simulator), server)
    server_pb2_grpc.add_ServerServiceServicer_to_server(Server(simulator), server)
