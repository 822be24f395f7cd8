"""A device's own view of its verdicts: what is wrong, since when, and what to do about it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from penguind.domain.issue import worst_first

if TYPE_CHECKING:
    from datetime import datetime

    from penguind.audit import Auditor
    from penguind.domain.check import Severity
    from penguind.store.issues import IssueStore


@dataclass(frozen=True, slots=True)
class DeviceVerdict:
    """An open issue, as the device's user may see it.

    `grace_until_time` is None where there is no grace or it is over.
    """

    check: str
    severity: Severity
    opened_time: datetime
    summary: str
    remedy: str
    grace_until_time: datetime | None


@dataclass(frozen=True, slots=True)
class DeviceVerdicts:
    """All verdicts of a device, the worst first, and when they were made."""

    verdicts: tuple[DeviceVerdict, ...]
    audited_time: datetime | None


class VerdictView:
    """Shows a device what the server thinks of it, and of nobody else."""

    def __init__(self, issues: IssueStore, auditor: Auditor) -> None:
        self._issues = issues
        self._auditor = auditor

    async def of_device(self, device_id: str, now: datetime) -> DeviceVerdicts:
        """Return the verdicts about one device.

        Args:
            device_id: The calling device's, from its certificate.
            now: Decides whether a grace is over.
        """
        # The time first: an audit between the two makes the answer newer, never older, than it.
        audited_time = self._auditor.audited_time(device_id)
        issues = sorted(await self._issues.find_open([device_id]), key=worst_first)
        verdicts = tuple(
            DeviceVerdict(
                check=one.name,
                severity=one.severity,
                opened_time=one.opened_time,
                summary=one.summary,
                remedy=one.remedy,
                grace_until_time=one.grace_until_time if one.in_grace(now) else None,
            )
            for one in issues
        )
        return DeviceVerdicts(verdicts, audited_time)
