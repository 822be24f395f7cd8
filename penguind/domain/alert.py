"""An alert: one message to one recipient, from being made to its end.

1. A message waits until it is sent, refused for good, given up, or needless.
2. Before a try it counts as perhaps delivered; a try that certainly failed takes that back.
3. A message that nobody can have got is withdrawn when all its issues have closed.
4. It keeps its id through all tries, so that a receiver can drop a repeat.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import timedelta
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from datetime import datetime

Kind = Literal["operators", "user", "webhook"]
State = Literal["waiting", "sent", "failed", "withdrawn"]
STATES: tuple[State, ...] = ("waiting", "sent", "failed", "withdrawn")
Result = Literal["sent", "again", "refused"]
#: The channel of all mail; webhooks are channels by their names.
MAIL = "mail"

#: How long a message is tried.
PATIENCE = timedelta(days=5)
#: How long a try may take before another server, or we after a restart, may try.
LEASE = timedelta(minutes=10)
_FIRST_WAIT = timedelta(minutes=1)
_LONGEST_WAIT = timedelta(hours=4)
_ERROR_LENGTH = 300


@dataclass(frozen=True, slots=True)
class Alert:
    """One message to one recipient.

    `recipient` is a mail address, or a webhook's name. `text` is the mail's text, or the webhook's
    JSON. `perhaps_delivered` says that a try's end is not known.
    """

    alert_id: str
    kind: Kind
    recipient: str
    subject: str
    text: str
    issue_ids: tuple[str, ...]
    created_time: datetime
    give_up_time: datetime
    next_attempt_time: datetime | None
    state: State = "waiting"
    sent_time: datetime | None = None
    attempts: int = 0
    last_error: str = ""
    perhaps_delivered: bool = False

    @property
    def channel(self) -> str:
        """Return what carries it: "mail", or the webhook's name."""
        return self.recipient if self.kind == "webhook" else MAIL

    def settled(self, outcome: Outcome, now: datetime, luck: float) -> Alert:
        """Return the alert after a try.

        Args:
            outcome: what came of it.
            now: the time.
            luck: 0 to 1, spreads the next tries of many messages.
        """
        if outcome.result == "sent":
            return replace(
                self, state="sent", sent_time=now, next_attempt_time=None, last_error="",
                perhaps_delivered=True,
            )  # fmt: skip
        failed = replace(
            self,
            last_error=outcome.answer[:_ERROR_LENGTH],
            # A repeat cannot take back that an earlier try may have arrived.
            perhaps_delivered=self.perhaps_delivered or outcome.perhaps_delivered,
        )
        again = now + max(retry_wait(self.attempts, luck), outcome.wait)
        if outcome.result == "refused" or again > self.give_up_time:
            return replace(failed, state="failed", next_attempt_time=None)
        return replace(failed, next_attempt_time=again)

    def withdrawn(self) -> Alert:
        """Return the alert as one that nobody needs any more."""
        return replace(
            self,
            state="withdrawn",
            # It was claimed, and not tried.
            attempts=max(self.attempts - 1, 0),
            next_attempt_time=None,
            last_error="all its issues had closed before it was sent",
        )


@dataclass(frozen=True, slots=True)
class Outcome:
    """What came of a try.

    `perhaps_delivered` is for a try whose answer was lost. `channel_down` says that other messages
    would fare no better. `wait` is what the other side asked for.
    """

    result: Result
    answer: str
    perhaps_delivered: bool = False
    channel_down: bool = False
    wait: timedelta = timedelta()


def retry_wait(attempts: int, luck: float) -> timedelta:
    """Return how long to wait after so many tries: a minute, doubled up to 4 hours, ±25 %."""
    doubled = _FIRST_WAIT * (1 << min(max(attempts - 1, 0), 10))
    return min(doubled, _LONGEST_WAIT) * (0.75 + luck / 2)
