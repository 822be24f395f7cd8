"""Issues that the server's own code opens: about devices, and about itself.

What finds a problem says the whole truth about one name at a time: issues open for what it names,
and close for everything else. A subject that is no device, such as a listener, stands in the place
of the device's id.

What an operator closed stays closed while the same goes on without a break. It comes back when it
had gone away in between, or with other evidence than it was closed with.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from penguind.domain.check import SEVERITIES
from penguind.domain.issue import SUBJECT, grace_until, opened_issue
from penguind.domain.verdict import Judged
from penguindome.logs import logger

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterable, Mapping
    from datetime import datetime

    from penguind.check_loader import CheckLoader
    from penguind.domain.calendar import Calendars
    from penguind.domain.check import Check, Severity
    from penguind.domain.evidence import Evidence
    from penguind.domain.issue import Issue
    from penguind.store.issues import IssueStore

log = logger("penguind.own_issues")


@dataclass(frozen=True, slots=True)
class Finding:
    """One problem: whose it is, and what was seen.

    `evidence` has JSON values only. `severity` and `summary` are the check's where they are not
    given; a severity is never higher than the check's.
    """

    device_id: str
    hostname: str
    reason: str = ""
    evidence: Evidence = field(default_factory=dict)
    severity: Severity | None = None
    summary: str = ""


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
        """Have exactly these issues of a name open, but for those that operators closed.

        Args:
            name: the check's name.
            findings: everything that is wrong now, at most one for each device.
            now: the time.
            gone: why the others close.
            among: only devices and subjects with these ids were looked at; None means all.
        """
        check = self._checks.current.get(name)
        wanted = {one.device_id: one for one in findings}
        standing = await self._issues.find_own(name, among)
        ours = [one for one in standing if one.source == "server"]
        quiet = {one.device_id for one in standing} | await self._held(name, wanted, among)
        await self.open(name, [one for key, one in wanted.items() if key not in quiet], now)
        over = [one for one in ours if one.device_id not in wanted or check is None]
        await self._close(over, now, "the check was removed or disabled" if not check else gone)
        if check is not None:
            await self._reword(check, wanted, ours)

    async def open(self, name: str, findings: Iterable[Finding], now: datetime) -> list[Issue]:
        """Open issues that are not open already; returns those that were opened."""
        check = self._checks.current.get(name)
        if check is None:
            return []
        made = [
            opened_issue(
                _worded(check, one), Judged(one.device_id, one.hostname, None), now=now,
                evidence=one.evidence, source="server", reason=one.reason,
                calendars=self._checks.current.calendars,
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
        """Close what the server opened of a name for some devices: it went away."""
        standing = await self._issues.find_open(device_ids, name=name)
        await self._close([one for one in standing if one.source == "server"], now, reason)
        await self._issues.release(await self._issues.find_own(name, device_ids, held=True))

    async def remembered(self, name: str) -> set[str]:
        """Return ids for which an issue is open, or was closed by an operator while it goes on."""
        standing = await self._issues.find_open(name=name)
        held = await self._issues.find_own(name, None, held=True)
        return {one.device_id for one in (*standing, *held) if one.source == "server"}

    async def _held(
        self, name: str, wanted: Mapping[str, Finding], among: Collection[str] | None
    ) -> set[str]:
        """Return ids whose issue an operator closed and that did not change since."""
        held = await self._issues.find_own(name, among, held=True)
        same = [
            one
            for one in held
            if one.device_id in wanted
            and (one.source != "server" or wanted[one.device_id].evidence == one.evidence)
        ]
        kept = {one.device_id for one in same}
        await self._issues.release([one for one in held if one.device_id not in kept])
        return kept

    async def _close(self, issues: Iterable[Issue], now: datetime, reason: str) -> None:
        closed = [one.closed(now=now, reason=reason) for one in issues]
        for issue in await self._issues.close(closed):
            log.info("Issue {} closed for {}: {}", issue.name, issue.hostname, reason)
            self._push(issue.device_id)

    async def _reword(
        self, check: Check, wanted: Mapping[str, Finding], ours: Iterable[Issue]
    ) -> None:
        """Have open issues say what is found now."""
        pairs = [
            (one, _renewed(check, wanted[one.device_id], one, self._checks.current.calendars))
            for one in ours
            if one.device_id in wanted
        ]
        changed = [new for old, new in pairs if new != old]
        await self._issues.reword(changed, evidence=True)
        for issue in changed:
            self._push(issue.device_id)


def is_subject(device_id: str) -> bool:
    """Tell whether an issue's "device" is really a part of the server."""
    return device_id.startswith(SUBJECT)


def _worded(check: Check, finding: Finding) -> Check:
    severity = min(finding.severity or check.severity, check.severity, key=SEVERITIES.index)
    return replace(check, severity=severity, summary=finding.summary or check.summary)


def _renewed(check: Check, finding: Finding, issue: Issue, calendars: Calendars) -> Issue:
    words = _worded(check, finding)
    return replace(
        issue,
        severity=words.severity,
        summary=words.summary,
        remedy=words.remedy,
        grace_until_time=grace_until(check, issue.opened_time, calendars),
        evidence=finding.evidence,
    )
