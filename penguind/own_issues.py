"""Issues that the server's own code opens: about devices, and about itself.

What finds a problem says the whole truth about one name at a time: issues open for what it names,
and close for everything else.
A subject that is no device, such as a listener, stands in the place of the device's id.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from penguind.domain.issue import opened_issue
from penguind.domain.verdict import Judged
from penguindome.logs import logger

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterable
    from datetime import datetime

    from penguind.check_loader import CheckLoader
    from penguind.domain.evidence import Evidence
    from penguind.domain.issue import Issue
    from penguind.store.issues import IssueStore

log = logger("penguind.own_issues")

#: What begins the id of a subject that is no device.
SUBJECT = "server:"


@dataclass(frozen=True, slots=True)
class Finding:
    """One problem: whose it is, and what was seen."""

    device_id: str
    hostname: str
    reason: str = ""
    evidence: Evidence = field(default_factory=dict)


class OwnIssues:
    """Opens and closes issues with source "server".

    Args:
        issues: where issues are kept.
        checks: have the words of each name; a name whose check is disabled is not opened.
        push: is told the ids of devices whose verdicts changed.
    """

    def __init__(
        self, issues: IssueStore, checks: CheckLoader, push: Callable[[str], object]
    ) -> None:
        self._issues = issues
        self._checks = checks
        self._push = push

    async def reconcile(
        self,
        name: str,
        findings: Iterable[Finding],
        now: datetime,
        *,
        gone: str,
        among: Collection[str] | None = None,
    ) -> None:
        """Have exactly these issues of a name open.

        Args:
            name: the check's name.
            findings: everything that is wrong now, at most one for each device.
            now: the time.
            gone: why the others close.
            among: only devices and subjects with these ids were looked at; None means all.
        """
        wanted = {one.device_id: one for one in findings}
        standing = await self._issues.find_open(among, name=name)
        known = {one.device_id for one in standing}
        enabled = self._checks.current.get(name) is not None
        await self.open(name, [one for key, one in wanted.items() if key not in known], now)
        over = [
            one
            for one in standing
            if one.source == "server" and (one.device_id not in wanted or not enabled)
        ]
        await self._close(over, now, gone if enabled else "the check was removed or disabled")

    async def open(self, name: str, findings: Iterable[Finding], now: datetime) -> list[Issue]:
        """Open issues that are not open already; returns those that were opened."""
        check = self._checks.current.get(name)
        if check is None:
            return []
        made = [
            opened_issue(
                check, Judged(one.device_id, one.hostname, None), now=now, evidence=one.evidence,
                source="server", reason=one.reason,
            )
            for one in findings
        ]  # fmt: skip
        opened = await self._issues.insert(made)
        for issue in opened:
            log.info("Issue {} opened for {} ({})", name, issue.hostname, issue.device_id)
            self._push(issue.device_id)
        return opened

    async def close(
        self, name: str, device_ids: Collection[str], now: datetime, *, reason: str
    ) -> None:
        """Close what the server opened of a name for some devices."""
        standing = await self._issues.find_open(device_ids, name=name)
        await self._close([one for one in standing if one.source == "server"], now, reason)

    async def _close(self, issues: Iterable[Issue], now: datetime, reason: str) -> None:
        closed = [one.closed(now=now, reason=reason) for one in issues]
        for issue in await self._issues.close(closed):
            log.info("Issue {} closed for {}: {}", issue.name, issue.hostname, reason)
            self._push(issue.device_id)


def is_subject(device_id: str) -> bool:
    """Tell whether an issue's "device" is really a part of the server."""
    return device_id.startswith(SUBJECT)
