"""What operators do with issues: find, open and close them by hand."""

from __future__ import annotations

from dataclasses import replace
from fnmatch import fnmatchcase
from typing import TYPE_CHECKING

from penguind.domain.check import SEVERITIES, Check, Severity, valid_check_name
from penguind.domain.device import STATES
from penguind.domain.issue import Issue, opened_issue, worst_first
from penguind.domain.reason import checked_reason
from penguind.domain.verdict import Judged
from penguindome.errors import InvalidInput, LimitExceeded, NotFound, PreconditionFailed

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Sequence
    from datetime import datetime

    from penguind.check_loader import CheckLoader
    from penguind.domain.device import Device
    from penguind.select import DeviceSelector
    from penguind.store.devices import DeviceStore
    from penguind.store.issues import IssueStore

MAX_LISTED = 5000


class IssueDesk:
    """Finds, opens and closes issues for operators.

    `push` is told the ids of devices whose verdicts changed; `audit` has devices judged soon, which
    finds out whether what an operator closed will come back with the next report.
    """

    def __init__(
        self,
        *,
        issues: IssueStore,
        devices: DeviceStore,
        checks: CheckLoader,
        selector: DeviceSelector,
        push: Callable[[str], object],
        audit: Callable[[Collection[str]], None],
    ) -> None:
        self._issues = issues
        self._devices = devices
        self._checks = checks
        self._selector = selector
        self._push = push
        self._audit = audit

    async def get(self, issue_id: str) -> Issue | None:
        """Return an issue with evidence and timeline, None if there is none."""
        return await self._issues.get(issue_id)

    async def find(
        self, terms: Sequence[str], *, names: Sequence[str] = (), include_closed: bool = False
    ) -> list[Issue]:
        """Return issues without evidence and timeline, the worst first.

        Args:
            terms: Selector terms; none means all devices, also those deleted by now.
            names: Globs for issues' names; none means all.
            include_closed: Whether closed ones are wanted too: after the open ones, as many of the
                last closed as there is room for.

        Raises:
            LimitExceeded: More are open than one answer can hold.
        """
        ids = None
        if terms:
            ids = await self._about(terms)
        wanted = [one for one in await self._issues.find_open(ids) if _is_named(one, names)]
        wanted.sort(key=worst_first)
        if include_closed:
            closed = await self._issues.find_closed(ids)
            room = max(0, MAX_LISTED - len(wanted))
            wanted += [one for one in closed if _is_named(one, names)][:room]
        if len(wanted) > MAX_LISTED:
            raise LimitExceeded(
                f"more than {MAX_LISTED} issues match", remedy="name devices or checks"
            )
        return wanted

    async def _about(self, terms: Sequence[str]) -> list[str]:
        """Return ids of the devices, and of the parts of the server, that terms name."""
        parts = await self._issues.open_subjects()
        ids = [parts[term] for term in terms if term in parts]
        others = [term for term in terms if term not in parts]
        if others:
            found = await self._selector.resolve(others, states=STATES)
            ids += [one.device_id for one in found]
        return ids

    async def open(
        self,
        device_id: str,
        name: str,
        *,
        operator: str,
        reason: str,
        severity: str,
        now: datetime,
    ) -> tuple[Issue, bool]:
        """Open an issue by hand; also says whether it was not open already.

        Raises:
            InvalidInput: The name, the severity or the reason cannot be used.
            NotFound: There is no such device.
            PreconditionFailed: The device is not active.
        """
        check = self._words(name, severity)
        device = await self._device(device_id)
        judged = Judged(device.device_id, device.hostname, None)
        issue = opened_issue(
            check, judged, now=now, evidence={}, source="operator",
            operator=operator, reason=checked_reason(reason),
        )  # fmt: skip
        issue = replace(issue, grace_until_time=None)
        if await self._issues.insert([issue]):
            self._push(device_id)
            return issue, True
        standing = await self._issues.find_open([device_id], name=name)
        return (standing[0], False) if standing else (issue, False)

    async def close(
        self, issue_ids: Sequence[str], *, operator: str, reason: str, now: datetime
    ) -> list[Issue]:
        """Close issues by hand; returns those that were open.

        Raises:
            InvalidInput: The reason cannot be used.
            NotFound: One of the ids is no issue's; none is closed then.
        """
        reason = checked_reason(reason)
        found = await self._issues.get_many(set(issue_ids))
        strangers = sorted(set(issue_ids) - {one.issue_id for one in found})
        if strangers:
            raise NotFound("no such issue", code="issue-not-found", subject=strangers[0][:80])
        closed = [
            one.closed(now=now, reason=reason, operator=operator) for one in found if one.open
        ]
        closed = await self._issues.close(closed)
        device_ids = {one.device_id for one in closed}
        for device_id in device_ids:
            self._push(device_id)
        self._audit(device_ids)
        return sorted((one.summarised() for one in closed), key=worst_first)

    def _words(self, name: str, severity: str) -> Check:
        """Return the check of that name, or a makeshift one for a free name."""
        if not valid_check_name(name):
            raise InvalidInput(
                "an issue's name must be lower-case letters, digits and hyphens",
                subject=name[:80],
                remedy="for example lost-badge",
            )
        known = self._checks.current.get(name)
        check = known or Check(name=name, summary=f"An operator opened {name}", remedy="Ask them")
        return replace(check, severity=_severity(severity, check.severity))

    async def _device(self, device_id: str) -> Device:
        device = await self._devices.get(device_id)
        if device is None:
            raise NotFound("no such device", code="device-not-found", subject=device_id[:80])
        if device.state != "active":
            raise PreconditionFailed(
                f"the device is {device.state}", subject=device.hostname, code="device-not-active"
            )
        return device


def _is_named(issue: Issue, names: Sequence[str]) -> bool:
    return not names or any(fnmatchcase(issue.name, one) for one in names)


def _severity(wanted: str, default: Severity) -> Severity:
    if not wanted:
        return default
    for severity in SEVERITIES:
        if severity == wanted:
            return severity
    raise InvalidInput(f"severity must be one of {', '.join(SEVERITIES)}", subject=wanted[:80])
