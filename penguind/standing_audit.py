"""An audit that an operator asks for: what it changes, and what stands afterwards."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING

from penguind.domain.issue import worst_first

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Mapping, Sequence
    from datetime import datetime

    from penguind.alerts.teller import Alerts
    from penguind.audit import Auditor
    from penguind.domain.due import Ignore
    from penguind.domain.issue import Issue
    from penguind.due import DueIssues, Standing
    from penguind.judging import AuditOutcome
    from penguind.store.issues import IssueStore


@dataclass(frozen=True, slots=True)
class Found:
    """What an audit found.

    Attributes:
        outcome: What it opened and closed.
        standing: Issues that people are to be told about, by hostname.
        held_back: How many others are open, by reason.
        mails: How many mails to users were put into the outbox.
    """

    outcome: AuditOutcome
    standing: Sequence[Issue]
    held_back: Mapping[str, int]
    mails: int


class StandingAudit:
    """Audits, and lists what stands; `look` has the server look for what no check can find."""

    def __init__(
        self,
        *,
        auditor: Auditor,
        look: Callable[[datetime], Awaitable[None]],
        due: DueIssues,
        alerts: Alerts,
        issues: IssueStore,
    ) -> None:
        self._auditor = auditor
        self._look = look
        self._due = due
        self._alerts = alerts
        self._issues = issues

    async def run(
        self,
        device_ids: Sequence[str] | None,
        ignore: Ignore,
        *,
        operator: str,
        update_recent: bool,
        mail_users: bool,
        now: datetime,
    ) -> Found:
        """Judge devices, and say what stands.

        Args:
            device_ids: None means all, and the server's own issues too.
            ignore: Reasons for quiet that shall not count.
            operator: Who asks.
            update_recent: Whether to note that people were told now.
            mail_users: Whether to mail the users of devices with standing issues now.
            now: The time.

        Raises:
            PreconditionFailed: Users are to be mailed, and mail is switched off; nothing is done.
        """
        if mail_users:
            self._alerts.check_mail()
        await self._look(now)
        outcome = await self._auditor.audit(device_ids, now)
        found = await self._due.standing(device_ids, now, ignore)
        told = sorted((one for one in found if not one.quiet), key=_by_host)
        mails = await self._alerts.mail_users(told, now) if mail_users else 0
        if update_recent and told:
            ids = [one.issue.issue_id for one in told]
            await self._issues.mark_alerted(ids, now, f"an audit told {operator}")
        held_back = Counter(str(one.quiet) for one in found if one.quiet)
        return Found(outcome, [one.issue for one in told], held_back, mails)


def _by_host(standing: Standing) -> tuple[object, ...]:
    return (standing.issue.hostname, standing.issue.device_id, worst_first(standing.issue))
