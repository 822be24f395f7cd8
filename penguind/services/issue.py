"""IssueService: problems that were found, and operators' word on them."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from penguind.caller import caller
from penguind.services.convert_judge import issue_to_message
from penguindome.errors import InvalidInput, NotFound
from penguindome.v1 import issue_pb2, issue_pb2_grpc

if TYPE_CHECKING:
    from collections.abc import Sequence
    from typing import Any

    from penguind.audit import Auditor
    from penguind.domain.issue import Issue
    from penguind.issues import IssueDesk
    from penguind.select import DeviceSelector
    from penguindome.times import Clock

MAX_CLOSED_AT_ONCE = 1000
# With remedies of at most 2,000 characters, and without them, a list stays below 4 MiB.
MAX_WITH_WORDS = 500
MAX_LISTED = 5000


class IssueService(issue_pb2_grpc.IssueServiceServicer):
    """Serves issues to operators."""

    def __init__(
        self, *, desk: IssueDesk, auditor: Auditor, selector: DeviceSelector, clock: Clock
    ) -> None:
        self._desk = desk
        self._auditor = auditor
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
        return issue_pb2.ListIssuesResponse(issues=_listed(found))

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
        return issue_pb2.GetIssueResponse(issue=issue_to_message(issue))

    async def AuditDevices(  # noqa: N802 -- gRPC's name
        self, request: issue_pb2.AuditDevicesRequest, context: Any
    ) -> issue_pb2.AuditDevicesResponse:
        """Judge devices now and return what changed."""
        del context
        ids = await self._selector.resolve_ids(request.selectors)
        outcome = await self._auditor.audit(ids, self._clock())
        return issue_pb2.AuditDevicesResponse(
            devices=outcome.devices,
            opened=_listed(outcome.opened),
            closed=_listed(outcome.closed),
        )

    async def OpenIssue(  # noqa: N802 -- gRPC's name
        self, request: issue_pb2.OpenIssueRequest, context: Any
    ) -> issue_pb2.OpenIssueResponse:
        """Open an issue in the calling operator's name."""
        del context
        issue, opened = await self._desk.open(
            request.device_id,
            request.name,
            operator=caller().name,
            reason=request.reason,
            severity=request.severity,
            now=self._clock(),
        )
        return issue_pb2.OpenIssueResponse(issue=issue_to_message(issue), opened=opened)

    async def CloseIssues(  # noqa: N802 -- gRPC's name
        self, request: issue_pb2.CloseIssuesRequest, context: Any
    ) -> issue_pb2.CloseIssuesResponse:
        """Close issues in the calling operator's name."""
        del context
        if len(request.issue_ids) > MAX_CLOSED_AT_ONCE:
            raise InvalidInput(f"more than {MAX_CLOSED_AT_ONCE} issues at once")
        closed = await self._desk.close(
            request.issue_ids, operator=caller().name, reason=request.reason, now=self._clock()
        )
        return issue_pb2.CloseIssuesResponse(closed=map(issue_to_message, closed))


def _listed(issues: Sequence[Issue]) -> list[issue_pb2.Issue]:
    """Return messages for a list; a long one goes without the words, to fit into one answer."""
    brief = len(issues) > MAX_WITH_WORDS
    shown = [one.summarised() for one in issues[:MAX_LISTED]]
    return [issue_to_message(replace(one, remedy="") if brief else one) for one in shown]
