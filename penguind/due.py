"""The open issues, each with the reason why nobody is told of it now, if there is one."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from penguind.domain.due import Ignore, Quiet, quiet

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Collection, Sequence
    from datetime import datetime

    from penguind.check_loader import CheckLoader
    from penguind.domain.check import Check
    from penguind.domain.issue import Issue
    from penguind.store.issues import IssueStore
    from penguind.suspension import Suspensions

    Filtered = Callable[[Sequence[Issue], datetime], Awaitable[set[str]]]


HEED_ALL = Ignore()


@dataclass(frozen=True, slots=True)
class Standing:
    """An open issue.

    Attributes:
        issue: The issue, without evidence and timeline.
        check: Its check; None for one under a free name.
        suspended: Whether its device is suspended.
        quiet: Why nobody is told; empty where people are to be told.
    """

    issue: Issue
    check: Check | None
    suspended: bool
    quiet: Quiet


class DueIssues:
    """Finds what people are to be told.

    Args:
        issues: Where issues are kept.
        checks: Have alert periods and calendars.
        suspensions: Know which devices are suspended.
        filtered: Returns ids of those of some issues that rules hold back.
    """

    def __init__(
        self,
        *,
        issues: IssueStore,
        checks: CheckLoader,
        suspensions: Suspensions,
        filtered: Filtered,
    ) -> None:
        self._issues = issues
        self._checks = checks
        self._suspensions = suspensions
        self._filtered = filtered

    async def standing(
        self,
        device_ids: Collection[str] | None,
        now: datetime,
        ignore: Ignore = HEED_ALL,
    ) -> list[Standing]:
        """Return all open issues; None means of all devices."""
        return await self.judged(await self._issues.find_open(device_ids), now, ignore)

    async def judged(
        self,
        issues: Sequence[Issue],
        now: datetime,
        ignore: Ignore = HEED_ALL,
    ) -> list[Standing]:
        """Return the open ones of some issues, in their order."""
        found = [one for one in issues if one.open]
        if not found:
            return []
        checks = self._checks.current
        suspended = await self._suspensions.suspended({one.device_id for one in found})
        filtered = await self._filtered(found, now)
        return [
            Standing(
                one,
                check := checks.get(one.name),
                one.device_id in suspended,
                quiet(
                    one,
                    check,
                    now=now,
                    suspended=one.device_id in suspended,
                    filtered=one.issue_id in filtered,
                    calendars=checks.calendars,
                    ignore=ignore,
                ),
            )
            for one in found
        ]
