"""What operators do so that nobody is told about issues for some time: snooze, and unsnooze."""

from __future__ import annotations

from typing import TYPE_CHECKING

from penguind.domain.issue import worst_first
from penguind.domain.reason import checked_reason
from penguindome.errors import InvalidInput, NotFound
from penguindome.times import to_iso

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from datetime import datetime

    from penguind.domain.issue import Issue
    from penguind.store.issues import IssueStore

MAX_AT_ONCE = 1000


class Snoozing:
    """Snoozes issues; `push` is told the ids of their devices."""

    def __init__(self, issues: IssueStore, push: Callable[[str], object]) -> None:
        self._issues = issues
        self._push = push

    async def snooze(
        self,
        issue_ids: Sequence[str],
        until: datetime,
        *,
        operator: str,
        reason: str,
        now: datetime,
    ) -> list[Issue]:
        """Have nobody told until a time, earlier or later than before; returns the open ones.

        Raises:
            InvalidInput: the time is past, the reason cannot be used, or there are too many ids.
            NotFound: one of the ids is no issue's; none is snoozed then.
        """
        reason = checked_reason(reason)
        if until <= now:
            raise InvalidInput(
                f"the time until which to snooze is past: {to_iso(until)}",
                code="past-time",
                remedy="give a later time, or unsnooze",
            )
        found = [one for one in await self._found(issue_ids) if one.open]
        changed = [one.snoozed(until, now=now, operator=operator, reason=reason) for one in found]
        return self._told(await self._issues.snooze(changed))

    async def unsnooze(
        self, issue_ids: Sequence[str], *, operator: str, reason: str, now: datetime
    ) -> list[Issue]:
        """Have people told again; returns those that were snoozed.

        Raises:
            InvalidInput: the reason cannot be used, or there are too many ids.
            NotFound: one of the ids is no issue's; none is changed then.
        """
        reason = checked_reason(reason)
        found = [one for one in await self._found(issue_ids) if one.open and one.in_snooze(now)]
        changed = [one.unsnoozed(now=now, operator=operator, reason=reason) for one in found]
        return self._told(await self._issues.snooze(changed))

    async def _found(self, issue_ids: Sequence[str]) -> list[Issue]:
        if len(issue_ids) > MAX_AT_ONCE:
            raise InvalidInput(f"more than {MAX_AT_ONCE} issues at once", subject="issue_ids")
        found = await self._issues.get_many(set(issue_ids))
        strangers = sorted(set(issue_ids) - {one.issue_id for one in found})
        if strangers:
            raise NotFound("no such issue", code="issue-not-found", subject=strangers[0][:80])
        return found

    def _told(self, changed: Sequence[Issue]) -> list[Issue]:
        for device_id in {one.device_id for one in changed}:
            self._push(device_id)
        return sorted((one.summarised() for one in changed), key=worst_first)
