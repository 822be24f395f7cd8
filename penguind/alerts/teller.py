"""Tell people about issues that are due: at once where it is urgent, else with the next digest.

1. What is urgent is told in the next turn; everything else with the digest.
2. Messages and the note that their issues were told of are written in one transaction, and only
   for issues that nobody told of since they were read: never lost, never twice.
3. In a dry run the log says what would be told, and nothing is written.
"""

from __future__ import annotations

import asyncio
from datetime import timedelta
from typing import TYPE_CHECKING

from penguind.alerts.dry_run import DryRun
from penguind.domain.alert_plan import Audience, planned, told_ids, user_mails
from penguind.domain.due import Ignore
from penguind.workers import keep_on
from penguindome.errors import PreconditionFailed
from penguindome.logs import logger

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Collection, Sequence
    from datetime import datetime

    from penguind.alerts.sender import Sender
    from penguind.config_alerts import AlertSettings
    from penguind.domain.alert import Alert
    from penguind.domain.alert_schedule import DigestSchedule
    from penguind.domain.issue import Issue
    from penguind.due import DueIssues, Standing
    from penguind.store.database import Database, Session
    from penguind.store.issues import IssueStore
    from penguind.store.outbox import OutboxStore
    from penguindome.times import Clock

    Digest = tuple[datetime | None, datetime]

log = logger("penguind.alerts")

_TRANSACTION_SECONDS = 30.0
# Days begin an hour early once a year; who was told daily shall not miss one for that.
_DAILY_SLACK = timedelta(hours=2)
_GONE = "the settings name no such channel any more"


class Alerts:
    """Makes messages for what is due.

    Args:
        settings: who is told, how and when.
        fleet_id: stands in every message.
        due: finds the issues that are due.
        schedule: says when digests are.
        database: for transactions.
        outbox: takes messages.
        issues: where issues are marked as told.
        emails: returns users' addresses by device id.
        senders: take the messages on, one for each channel.
        clock: tells the time.
    """

    def __init__(
        self,
        *,
        settings: AlertSettings,
        fleet_id: str,
        due: DueIssues,
        schedule: DigestSchedule,
        database: Database,
        outbox: OutboxStore,
        issues: IssueStore,
        emails: Callable[[Collection[str]], Awaitable[dict[str, str]]],
        senders: Sequence[Sender],
        clock: Clock,
    ) -> None:
        self._settings = settings
        self._fleet_id = fleet_id
        self._due = due
        self._schedule = schedule
        self._database = database
        self._outbox = outbox
        self._issues = issues
        self._emails = emails
        self._senders = senders
        self._clock = clock
        self._dry_run = DryRun()
        self._failed = 0

    async def run(self) -> None:
        """Tell for ever."""
        await keep_on("telling people about issues", self._turn)

    async def _turn(self) -> None:
        await self.tell_due()
        await asyncio.sleep(self._settings.look_seconds)

    async def tell_due(self) -> list[Alert]:
        """Tell what is due now; returns the messages that were made."""
        now = self._clock()
        await self._outbox.fail_other_channels([one.name for one in self._senders], _GONE)
        self._failed = await self._outbox.count_failed()
        digest = await self._digest(now)
        issues = await self._immediate(now)
        if digest is not None:
            issues += await self._for_digest(now)
        audience = await self.audience(issues)
        if audience.empty:
            return []
        if self._settings.dry_run:
            return self._dry_run.told(issues, audience, now, digest)
        made = await self._tell(issues, audience, now, digest)
        self._wake()
        return made

    async def preview(self) -> tuple[list[Alert], list[Alert], datetime, Audience, list[Issue]]:
        """Return what would be told now, what with the next digest, when that is, and to whom."""
        now = self._clock()
        urgent, rest = await self._immediate(now), await self._for_digest(now)
        last = await self._outbox.last_digest() or now
        audience = await self.audience([*urgent, *rest])
        moment = max(self._schedule.next_time(last), now)
        everything = [*urgent, *rest]
        return (
            planned(urgent, audience, now),
            planned(rest, audience, now),
            moment,
            audience,
            everything,
        )

    def check_mail(self) -> None:
        """Check that users can be mailed.

        Raises:
            PreconditionFailed: mail is switched off.
        """
        if not (self._settings.enabled and self._settings.mails):
            raise PreconditionFailed(
                "alerts by mail are switched off",
                code="no-mail",
                remedy="set alerts.smtp and alerts.mail_from in the server's settings",
            )

    async def mail_users(self, standing: Sequence[Standing], now: datetime) -> int:
        """Mail the users of devices with these issues now, whatever was told before.

        The issues are not marked as told: who calls knows whether they shall be.

        Returns:
            How many mails were put into the outbox; fewer than devices where addresses are missing.

        Raises:
            PreconditionFailed: mail is switched off.
        """
        self.check_mail()
        issues = [one.issue for one in standing]
        emails = await self._emails({one.device_id for one in issues})
        audience = Audience(self._fleet_id, users=True, emails=emails)
        mails = user_mails(issues, audience, now)
        if self._settings.dry_run:
            self._dry_run.log(mails)
            return 0

        async def work(session: Session) -> None:
            await self._outbox.insert(mails, session=session)

        await self._database.transaction(work, seconds=_TRANSACTION_SECONDS)
        self._wake()
        return len(mails)

    async def audience(self, issues: Sequence[Issue]) -> Audience:
        """Return who is to be told about issues."""
        settings = self._settings
        users = settings.user_mail and settings.mails
        emails = await self._emails({one.device_id for one in issues}) if users else {}
        return Audience(
            fleet_id=self._fleet_id,
            operators=settings.mail_to if settings.mails else (),
            users=users,
            emails=emails,
            hooks={name: one.severities for name, one in settings.webhooks.items()},
        )

    def problems(self) -> list[str]:
        """Return what is wrong with telling people, as sentences."""
        found = [sentence for one in self._senders for sentence in one.problems()]
        if self._failed:
            found.append(
                f"{self._failed} alerts were never delivered: see penguinctl alert list "
                "--state failed, and try again with penguinctl alert retry."
            )
        return found

    async def recount(self) -> None:
        """Count failures anew, since some are tried again, and have those sent."""
        self._failed = await self._outbox.count_failed()
        self._wake()

    def _wake(self) -> None:
        for one in self._senders:
            one.wake()

    async def _digest(self, now: datetime) -> Digest | None:
        """Return when the last digest was and when this one is due; None if none is."""
        if self._settings.dry_run:
            return self._dry_run.digest(self._schedule, now)
        last = await self._outbox.last_digest()
        if last is None:
            # The first one comes at the next time, not when a server was first started.
            await self._pass_digest(None, now)
            return None
        due = self._schedule.latest(last, now)
        return None if due is None else (last, due)

    async def _pass_digest(self, last: datetime | None, due: datetime) -> None:
        async def work(session: Session) -> None:
            await self._outbox.pass_digest(last, due, session=session)

        await self._database.transaction(work, seconds=_TRANSACTION_SECONDS)

    async def _immediate(self, now: datetime) -> list[Issue]:
        found = await self._due.standing(None, now)
        return [one.issue for one in found if not one.quiet and self._is_urgent(one.issue)]

    async def _for_digest(self, now: datetime) -> list[Issue]:
        """Return what the digest tells: whatever will be due before long is due with it."""
        interval = self._schedule.interval
        slack = _DAILY_SLACK if interval is None else interval / 10
        soon = await self._due.standing(None, now + slack)
        ready = {one.issue.issue_id for one in soon if not one.quiet}
        # Only the alert period may end early: grace and snooze hold to the minute.
        found = await self._due.standing(None, now, Ignore(recent=True))
        return [
            one.issue
            for one in found
            if not one.quiet and one.issue.issue_id in ready and not self._is_urgent(one.issue)
        ]

    def _is_urgent(self, issue: Issue) -> bool:
        return issue.severity in self._settings.immediate

    async def _tell(
        self, issues: Sequence[Issue], audience: Audience, now: datetime, digest: Digest | None
    ) -> list[Alert]:
        async def work(session: Session) -> list[Alert]:
            if digest is not None and not await self._outbox.pass_digest(*digest, session=session):
                # Another server makes this digest; what is urgent is for the next turn.
                return []
            current = await self._outbox.still_due(issues, session=session) if issues else []
            alerts = planned(current, audience, now)
            if alerts:
                await self._outbox.insert(alerts, session=session)
                told = sorted(told_ids(alerts))
                await self._issues.mark_alerted(told, now, _reason(alerts), session=session)
            return alerts

        if not issues and digest is None:
            return []
        alerts = await self._database.transaction(work, seconds=_TRANSACTION_SECONDS)
        for one in alerts:
            log.info("Alert {} for {}: {}", one.alert_id, one.recipient, one.subject)
        return alerts


def _reason(alerts: Sequence[Alert]) -> str:
    """Return who is told, in one line for a timeline that others may read."""
    words = {"operators": "operators by mail", "user": "users by mail"}
    return ", ".join(sorted({words.get(one.kind, f"webhook {one.recipient}") for one in alerts}))
