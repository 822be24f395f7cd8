"""The table that says who may call which RPC; nothing is served without a row.

Roles gate the server's own calls only. What has power over a device is an operator's OpenPGP
signature, which the device checks itself.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from penguindome.errors import Forbidden, PreconditionFailed

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

ROLES = ("viewer", "operator", "shell", "admin", "keeper", "auditor")

_READERS = frozenset({"viewer", "operator", "shell", "admin", "auditor"})
_ACTORS = frozenset({"operator", "admin"})
_ADMINS = frozenset({"admin"})
_SHELLS = frozenset({"shell", "admin"})
_ORDERERS = _ACTORS | _SHELLS
_AUDITORS = frozenset({"auditor", "admin"})
_ANY_OPERATOR = frozenset(ROLES)


@dataclass(frozen=True, slots=True)
class Row:
    """One method's rule.

    `kinds` are the kinds of caller let in; `roles` are those of which an operator needs one.
    `action` is the ledger's word for an administrative act, empty for everything else; `target`
    and `details` name the request's fields that the row before the act repeats, `made` the answer's
    field that the row after it names, where only the server knows what came of it. A dotted path
    leads into a message.
    """

    kinds: frozenset[str]
    listener: str = "main"
    roles: frozenset[str] = frozenset()
    action: str = ""
    target: str = ""
    details: tuple[str, ...] = ()
    made: str = ""


_DEVICE = Row(frozenset({"device"}))
_APPLICANT = Row(frozenset({"applicant"}), listener="bootstrap")
_AUTHENTICATED = Row(frozenset({"device", "operator"}), roles=_ANY_OPERATOR)


def _read(roles: frozenset[str] = _READERS) -> Row:
    return Row(frozenset({"operator"}), roles=roles)


def _act(
    action: str, target: str, *details: str, roles: frozenset[str] = _ACTORS, made: str = ""
) -> Row:
    return Row(
        frozenset({"operator"}),
        roles=roles,
        action=action,
        target=target,
        details=details,
        made=made,
    )


_OURS = {
    "AgentService/CheckIn": _DEVICE,
    "AgentService/SubmitReport": _DEVICE,
    "AgentService/ListVerdicts": _DEVICE,
    "AgentService/ConfirmCheckIn": _DEVICE,
    "AgentService/SubmitOrderUpdates": _DEVICE,
    "AgentService/FetchBlob": _DEVICE,
    "AlertService/ListAlerts": _read(),
    "AlertService/PreviewAlerts": _read(),
    "AlertService/TestAlert": _act("alert.test", "channel", "recipient", roles=_ADMINS),
    "AlertService/RetryAlerts": _act("alert.retry", "alert_ids"),
    "BootstrapService/Begin": _APPLICANT,
    "BootstrapService/GetTrustChain": _APPLICANT,
    "BootstrapService/Enroll": _APPLICANT,
    "BootstrapService/PollEnrollment": _APPLICANT,
    "BootstrapService/RenewDevice": _APPLICANT,
    "BootstrapService/RedeemInvitation": _APPLICANT,
    "BootstrapService/RenewOperator": _APPLICANT,
    "CheckService/ListChecks": _read(),
    "CheckService/GetCheck": _read(),
    "CheckService/TestCheck": _read(_ACTORS),
    "DeviceService/ListDevices": _read(),
    "DeviceService/GetDevice": _read(),
    "DeviceService/GetDeviceKeys": _read(),
    "DeviceService/ApproveDevice": _act("device.approve", "device_id"),
    "DeviceService/RevokeDevice": _act("device.revoke", "device_id", "reason"),
    "DeviceService/DeleteDevice": _act("device.delete", "device_id", roles=_ADMINS),
    "DeviceService/LabelDevice": _act("device.label", "device_id", "add", "remove"),
    "DeviceService/CollectDevice": _act("device.collect", "device_id", "plugins"),
    "DeviceService/SuspendDevices": _act("device.suspend", "device_ids", "device_ids", "reason"),
    "DeviceService/UnsuspendDevices": _act("device.unsuspend", "device_ids", "device_ids"),
    "DeviceService/BlockDevice": _act("device.block", "device_id", "reason"),
    "DeviceService/UnblockDevice": _act("device.unblock", "device_id", "reason"),
    "IssueService/ListIssues": _read(),
    "IssueService/GetIssue": _read(),
    "IssueService/AuditDevices": _act("issue.audit", "selectors", "update_recent", "mail_users"),
    "IssueService/OpenIssue": _act(
        "issue.open", "device_id", "name", "reason", "severity", made="issue.issue_id"
    ),
    "IssueService/CloseIssues": _act("issue.close", "issue_ids", "issue_ids", "reason"),
    "IssueService/SnoozeIssues": _act(
        "issue.snooze", "issue_ids", "issue_ids", "until_unix_ms", "reason"
    ),
    "IssueService/UnsnoozeIssues": _act("issue.unsnooze", "issue_ids", "issue_ids", "reason"),
    "LedgerService/ListLedger": _read(_AUDITORS),
    "LedgerService/GetLedgerHead": _read(_ANY_OPERATOR),
    "OperatorService/InviteOperator": _act(
        "operator.invite", "name", "roles", "ttl_seconds", roles=_ADMINS, made="invitation_id"
    ),
    "OperatorService/ListOperators": _read(_AUDITORS),
    "OperatorService/SetOperatorRoles": _act(
        "operator.role", "name", "add", "remove", roles=_ADMINS
    ),
    "OperatorService/RevokeOperator": _act("operator.revoke", "name", "reason", roles=_ADMINS),
    "OperatorService/SetRoleRanges": _act(
        "operator.ranges", "role", "ranges", "lock_out_self", roles=_ADMINS
    ),
    # Whose role fits the kind, the service looks at: shells have one of their own.
    "OrderService/SubmitOrder": _act(
        "order.submit",
        "",
        "envelope.kind",
        "envelope.payload",
        roles=_ORDERERS,
        made="order.order_id",
    ),
    "OrderService/ApproveOrder": _act(
        "order.approve", "order_id", "payload_sha256", roles=_ORDERERS
    ),
    "OrderService/WithdrawOrder": _act("order.withdraw", "order_id", "reason"),
    "OrderService/ListOrders": _read(),
    "OrderService/GetOrder": _read(),
    "OrderService/WatchOrder": _read(),
    "OrderService/ReadOutput": _read(),
    "ParameterService/ListParameters": _read(),
    "ParameterService/SetParameter": _act("param.set", "device_id", "name", "values"),
    "ParameterService/UnsetParameter": _act("param.unset", "device_id", "name"),
    "ReleaseService/FindMissingBlobs": _read(_ACTORS),
    "ReleaseService/UploadBlob": _read(_ACTORS),
    "ReleaseService/DownloadBlob": _read(),
    "ReleaseService/ListReleases": _read(),
    "ReleaseService/GetRelease": _read(),
    "ReleaseService/ChangeRollout": _act("release.rollout", "number", "action", "reason"),
    "ServerService/GetServerStatus": _read(),
    "ServerService/GetSelf": _read(_ANY_OPERATOR),
    "ServerService/ListHistory": _read(),
    "ServerService/GetOverview": _read(),
    "ServerService/ListAnchors": _read(_ANY_OPERATOR),
    "ShellService/Attach": _read(_SHELLS),
    "ShellService/Serve": _DEVICE,
    "ShellService/SubmitTranscript": _DEVICE,
    "ShellService/EndSession": _act(
        "session.end", "order_id", "reason", roles=frozenset({"operator", "shell", "admin"})
    ),
    "ShellService/ListSessions": _read(),
    "ShellService/GetSession": _read(frozenset({"shell", "auditor", "admin"})),
    "ShellService/ReadTranscript": _read(frozenset({"shell", "auditor", "admin"})),
    "TokenService/CreateToken": _act(
        "token.create",
        "",
        "max_uses",
        "ttl_seconds",
        "cidrs",
        "needs_approval",
        "labels",
        "note",
        made="token_id",
    ),
    "TokenService/ListTokens": _read(),
    "TokenService/RevokeToken": _act("token.revoke", "token_id"),
    "TrailService/ListTrail": _read(),
    "TrustService/GetTrust": _read(_ANY_OPERATOR),
    "TrustService/PublishTrust": _act(
        "trust.publish", "document.version", "document.envelope.payload"
    ),
    "TrustService/ProposeTrust": _act(
        "trust.propose", "document.version", "document.envelope.payload"
    ),
    "TrustService/SignProposal": _act("trust.sign", "version", "payload_sha256"),
    "TrustService/GetProposal": _read(_ANY_OPERATOR),
    "TrustService/WithdrawProposal": _act("trust.withdraw", "version", "payload_sha256", "reason"),
}

ACCESS: Mapping[str, Row] = {
    **{f"/penguindome.v1.{name}": row for name, row in _OURS.items()},
    "/grpc.health.v1.Health/Check": _AUTHENTICATED,
    "/grpc.health.v1.Health/List": _AUTHENTICATED,
    "/grpc.health.v1.Health/Watch": _AUTHENTICATED,
    "/grpc.reflection.v1alpha.ServerReflection/ServerReflectionInfo": _AUTHENTICATED,
}


def permit_order(kind: str, roles: frozenset[str]) -> None:
    """Check that an operator's roles let it hand in, or approve, an order of a kind.

    Raises:
        Forbidden: otherwise.
    """
    wanted = _SHELLS if kind == "shell" else _ACTORS
    if not roles & wanted:
        raise Forbidden(
            f"an order of kind {kind} needs one of the roles {', '.join(sorted(wanted))}",
            code="role-for-kind",
            remedy="ask an administrator of the fleet for the role",
        )


def check_table(served: Mapping[str, Iterable[str]], table: Mapping[str, Row] = ACCESS) -> None:
    """Refuse to serve methods without a row, and rows without a method.

    Args:
        served: full method names by listener.
        table: the access table.

    Raises:
        PreconditionFailed: naming every method and row that has no counterpart.
    """
    pairs = {(listener, method) for listener, methods in served.items() for method in methods}
    rows = {(row.listener, method) for method, row in table.items()}
    problems = [f"{method} is served on {where} without a row" for where, method in pairs - rows]
    problems += [
        f"{method} has a row but is not served on {where}" for where, method in rows - pairs
    ]
    if problems:
        raise PreconditionFailed(
            "the access table does not fit the services: " + "; ".join(sorted(problems)),
            code="access-table",
            remedy="this is an error in penguind itself; install a complete version",
        )


def permit(
    method: str,
    *,
    kind: str,
    roles: frozenset[str],
    listener: str,
    withheld: frozenset[str] = frozenset(),
) -> Row:
    """Return the method's row if the caller may call it here.

    Args:
        method: the full name.
        kind: the kind of caller.
        roles: the roles that an operator may use.
        listener: the kind of listener that was dialled.
        withheld: roles that an operator has, but may not use from its address.

    Raises:
        Forbidden: otherwise.
    """
    row = ACCESS.get(method)
    if row is None or row.listener != listener or kind not in row.kinds:
        raise Forbidden(
            f"a caller of kind {kind} may not call this method",
            code="not-permitted",
            subject=method,
        )
    if kind == "operator" and not roles & row.roles and withheld & row.roles:
        raise Forbidden(
            f"your role {', '.join(sorted(withheld & row.roles))} may not be used from the "
            "address that you call from",
            code="role-address",
            subject=method,
            remedy="call from another network; penguinctl operator ranges shows which, and "
            "penguind operator ranges ROLE --clear, run on the server, lifts the limit",
        )
    if kind == "operator" and not roles & row.roles:
        raise Forbidden(
            f"this needs one of the roles {', '.join(sorted(row.roles))}",
            code="role-missing",
            subject=method,
            remedy="ask an administrator of the fleet for an invitation with the role",
        )
    return row
