"""What operators may ask of alerts: see them, preview them, test a channel, try again."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from penguind.domain.alert import MAIL, PATIENCE, STATES, Alert
from penguind.domain.alert_hook import trial_body
from penguind.domain.alert_mail import valid_address
from penguind.domain.alert_plan import without_address
from penguind.domain.alert_words import user_subject
from penguindome.errors import InvalidInput, NotFound, PreconditionFailed
from penguindome.ids import new_ulid

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from datetime import datetime

    from penguind.alerts.sender import Channel
    from penguind.alerts.teller import Alerts
    from penguind.config_alerts import AlertSettings
    from penguind.domain.issue import Issue
    from penguind.store.outbox import OutboxStore
    from penguindome.times import Clock

_LIMIT = 1000
_DEFAULT_LIMIT = 100
_NO_ADDRESS = "no user_email is set, so the user is not told"


@dataclass(frozen=True, slots=True)
class Trial:
    """What came of a test."""

    sent: bool
    answer: str


class AlertDesk:
    """Answers operators.

    Args:
        settings: who is told, how and when.
        fleet_id: stands in every message.
        alerts: knows what is due.
        outbox: has what was made.
        channels: make a new channel for a test, by name; a sender's own is busy.
        clock: tells the time.
    """

    def __init__(
        self,
        *,
        settings: AlertSettings,
        fleet_id: str,
        alerts: Alerts,
        outbox: OutboxStore,
        channels: Mapping[str, Callable[[], Channel]],
        clock: Clock,
    ) -> None:
        self._settings = settings
        self._fleet_id = fleet_id
        self._alerts = alerts
        self._outbox = outbox
        self._channels = channels
        self._clock = clock

    async def newest_first(self, states: Sequence[str], limit: int) -> list[Alert]:
        """Return alerts of the outbox; no states mean all.

        Raises:
            InvalidInput: there is no such state, or the limit is too high.
        """
        unknown = [one for one in states if one not in STATES]
        if unknown:
            raise InvalidInput(
                f"there is no state {unknown[0][:20]!a}", remedy=f"use {', '.join(STATES)}"
            )
        if limit > _LIMIT:
            raise InvalidInput(f"at most {_LIMIT} alerts at once", subject="limit")
        return await self._outbox.newest_first(states, limit or _DEFAULT_LIMIT)

    async def preview(self) -> list[Alert]:
        """Return what would be sent now, and with the next digest, with its text.

        Users without an address stand there too, as withdrawn.
        """
        urgent, rest, moment, audience, issues = await self._alerts.preview()
        later = [replace(one, next_attempt_time=moment) for one in rest]
        now = self._clock()
        missing = [self._missing(group, now) for group in without_address(issues, audience)]
        return [*urgent, *later, *missing]

    async def test(self, channel: str, recipient: str) -> Trial:
        """Send a test message over a channel now.

        Raises:
            NotFound: there is no such channel.
            InvalidInput: the recipient cannot be.
            PreconditionFailed: this is a dry run, or nobody is to get mail.
        """
        made = self._channels.get(channel)
        if made is None:
            known = ", ".join(sorted(self._channels)) or "none is set up"
            raise NotFound(
                "there is no such channel",
                code="no-channel",
                subject=channel[:40],
                remedy=f"there are: {known}; see docs/alerts.md",
            )
        if self._settings.dry_run:
            raise PreconditionFailed(
                "alerts are a dry run, which sends nothing",
                code="dry-run",
                remedy="set alerts.dry_run to false in the server's settings",
            )
        answers = [
            await self._try(made(), self._trial(channel, one))
            for one in self._recipients(channel, recipient)
        ]
        return Trial(all(one.sent for one in answers), "; ".join(one.answer for one in answers))

    async def retry(self, alert_ids: Sequence[str]) -> int:
        """Have failed alerts tried again; no ids mean all. Returns how many.

        Raises:
            InvalidInput: too many ids.
        """
        if len(alert_ids) > _LIMIT:
            raise InvalidInput(f"at most {_LIMIT} alerts at once", subject="alert_ids")
        now = self._clock()
        count = await self._outbox.retry(alert_ids, now, now + PATIENCE)
        await self._alerts.recount()
        return count

    async def _try(self, channel: Channel, alert: Alert) -> Trial:
        try:
            outcome = await channel.send(alert, self._clock())
        finally:
            await channel.rest()
        return Trial(outcome.result == "sent", f"{alert.recipient}: {outcome.answer}")

    def _recipients(self, channel: str, recipient: str) -> Sequence[str]:
        if channel != MAIL:
            if recipient:
                raise InvalidInput("only mail has recipients", subject="recipient")
            return [channel]
        if recipient and not valid_address(recipient):
            raise InvalidInput("this is no mail address", subject=recipient[:80])
        if not (recipient or self._settings.mail_to):
            raise PreconditionFailed(
                "there are no operators' addresses",
                code="no-recipient",
                remedy="give one, or set alerts.mail_to in the server's settings",
            )
        return [recipient] if recipient else self._settings.mail_to

    def _trial(self, channel: str, recipient: str) -> Alert:
        now = self._clock()
        alert_id = new_ulid(now)
        text = (
            "This is a test. If you read it, alerts reach you.\n\n"
            f"penguind of the fleet {self._fleet_id} sent it, because an operator asked for it.\n"
        )
        return Alert(
            alert_id=alert_id,
            kind="operators" if channel == MAIL else "webhook",
            recipient=recipient,
            subject="PenguinDome: a test",
            text=text if channel == MAIL else trial_body(alert_id, self._fleet_id, now),
            issue_ids=(),
            created_time=now,
            give_up_time=now,
            next_attempt_time=None,
        )

    def _missing(self, group: Sequence[Issue], now: datetime) -> Alert:
        return Alert(
            alert_id="",
            kind="user",
            recipient="",
            subject=user_subject(group),
            text="",
            issue_ids=tuple(one.issue_id for one in group),
            created_time=now,
            give_up_time=now,
            next_attempt_time=None,
            state="withdrawn",
            last_error=_NO_ADDRESS,
        )
