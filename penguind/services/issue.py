"""IssueService: problems that were found, and operators' word on them."""

from __future__ import annotations

from dataclasses import replace
from types import MappingProxyType
from typing import TYPE_CHECKING

from penguind.caller import caller
from penguind.domain.due import Ignore
from penguind.services.convert_judge import issue_to_message
from penguindome.errors import InvalidInput, NotFound
from penguindome.times import from_unix_ms
from penguindome.v1 import issue_pb2, issue_pb2_grpc

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from datetime import datetime
    from typing import Any

    from penguind.domain.issue import Issue
    from penguind.due import DueIssues
    from penguind.issues import IssueDesk
    from penguind.select import DeviceSelector
    from penguind.snoozing import Snoozing
    from penguind.standing_audit import StandingAudit
    from penguindome.times import Clock

MAX_CLOSED_AT_ONCE = 1000
# With remedies of at most 2,000 characters, and without them, a list stays below 4 MiB.
MAX_WITH_WORDS = 500
MAX_LISTED = 5000
NOT_QUIET: Mapping[str, str] = MappingProxyType({})


class IssueService(issue_pb2_grpc.IssueServiceServicer):
    """Serves issues to operators."""

    def __init__(
        self,
        *,
        desk: IssueDesk,
        snoozing: Snoozing,
        audit: StandingAudit,
        due: DueIssues,
        selector: DeviceSelector,
        clock: Clock,
    ) -> None:
        self._desk = desk
        self._snoozing = snoozing
        self._audit = audit
        self._due = due
        self._selector = selector
        self._clock = clock

    async def ListIssues(  # noqa: N802 -- gRPC's name
        self, request: issue_pb2.ListIssuesRequest, context: Any
    ) -> issue_pb2.ListIssuesResponse:
        """Return issues, the worst first."""
        del context
        found = await self._desk.find(
            request.selectors, names=request.names, include_closed=request.include_closed
        )
        now = self._clock()
        judged = await self._due.judged(found, now)
        quiet = {one.issue.issue_id: one.quiet for one in judged}
        return issue_pb2.ListIssuesResponse(issues=_listed(found, now, quiet))

    async def GetIssue(  # noqa: N802 -- gRPC's name
        self, request: issue_pb2.GetIssueRequest, context: Any
    ) -> issue_pb2.GetIssueResponse:
        """Return one issue with evidence and timeline."""
        del context
        issue = await self._desk.get(request.issue_id)
        if issue is None:
            raise NotFound(
                "no such issue",
                code="issue-not-found",
                subject=request.issue_id[:80],
                remedy="penguinctl issue list shows those there are",
            )
        now = self._clock()
        judged = await self._due.judged([issue], now)
        quiet = judged[0].quiet if judged else ""
        return issue_pb2.GetIssueResponse(issue=issue_to_message(issue, now, quiet))

    async def AuditDevices(  # noqa: N802 -- gRPC's name
        self, request: issue_pb2.AuditDevicesRequest, context: Any
    ) -> issue_pb2.AuditDevicesResponse:
        """Judge devices now; return what changed and what stands."""
        del context
        now = self._clock()
        found = await self._audit.run(
            await self._selector.resolve_ids(request.selectors),
            Ignore(
                grace=request.ignore_grace,
                recent=request.ignore_recent,
                snoozed=request.ignore_snoozed,
                suspended=request.ignore_suspended,
                filters=request.ignore_filters,
            ),
            operator=caller().name,
            update_recent=request.update_recent,
            mail_users=request.mail_users,
            now=now,
        )
        return issue_pb2.AuditDevicesResponse(
            devices=found.outcome.devices,
            opened=_listed(found.outcome.opened, now),
            closed=_listed(found.outcome.closed, now),
            standing=_listed(found.standing, now),
            held_back=found.held_back,
            mails=found.mails,
        )

    async def OpenIssue(  # noqa: N802 -- gRPC's name
        self, request: issue_pb2.OpenIssueRequest, context: Any
    ) -> issue_pb2.OpenIssueResponse:
        """Open an issue in the calling operator's name."""
        del context
        now = self._clock()
        issue, opened = await self._desk.open(
            request.device_id,
            request.name,
            operator=caller().name,
            reason=request.reason,
            severity=request.severity,
            now=now,
        )
        return issue_pb2.OpenIssueResponse(issue=issue_to_message(issue, now), opened=opened)

    async def CloseIssues(  # noqa: N802 -- gRPC's name
        self, request: issue_pb2.CloseIssuesRequest, context: Any
    ) -> issue_pb2.CloseIssuesResponse:
        """Close issues in the calling operator's name."""
        del context
        if len(request.issue_ids) > MAX_CLOSED_AT_ONCE:
            raise InvalidInput(f"more than {MAX_CLOSED_AT_ONCE} issues at once")
        now = self._clock()
        closed = await self._desk.close(
            request.issue_ids, operator=caller().name, reason=request.reason, now=now
        )
        return issue_pb2.CloseIssuesResponse(closed=_listed(closed, now))

    async def SnoozeIssues(  # noqa: N802 -- gRPC's name
        self, request: issue_pb2.SnoozeIssuesRequest, context: Any
    ) -> issue_pb2.SnoozeIssuesResponse:
        """Have nobody told about issues until a time, in the calling operator's name."""
        del context
        now = self._clock()
        snoozed = await self._snoozing.snooze(
            request.issue_ids,
            from_unix_ms(request.until_unix_ms),
            operator=caller().name,
            reason=request.reason,
            now=now,
        )
        return issue_pb2.SnoozeIssuesResponse(snoozed=_listed(snoozed, now))

    async def UnsnoozeIssues(  # noqa: N802 -- gRPC's name
        self, request: issue_pb2.UnsnoozeIssuesRequest, context: Any
    ) -> issue_pb2.UnsnoozeIssuesResponse:
        """Have people told about snoozed issues again, in the calling operator's name."""
        del context
        now = self._clock()
        unsnoozed = await self._snoozing.unsnooze(
            request.issue_ids, operator=caller().name, reason=request.reason, now=now
        )
        return issue_pb2.UnsnoozeIssuesResponse(unsnoozed=_listed(unsnoozed, now))


def _listed(
    issues: Sequence[Issue], now: datetime, quiet: Mapping[str, str] = NOT_QUIET
) -> list[issue_pb2.Issue]:
    """Return messages for a list; a long one goes without the words, to fit into one answer."""
    brief = len(issues) > MAX_WITH_WORDS
    shown = [one.summarised() for one in issues[:MAX_LISTED]]
    return [
        issue_to_message(
            replace(one, remedy="") if brief else one, now, quiet.get(one.issue_id, "")
        )
        for one in shown
    ]
