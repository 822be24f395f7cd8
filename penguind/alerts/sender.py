"""Send what waits in the outbox, over one channel."""

from __future__ import annotations

import asyncio
import random
import uuid
from datetime import timedelta
from typing import TYPE_CHECKING, Protocol

from penguind.domain.alert import LEASE
from penguind.workers import keep_on
from penguindome.logs import logger

if TYPE_CHECKING:
    from datetime import datetime

    from penguind.domain.alert import Alert, Outcome
    from penguind.store.outbox import OutboxStore
    from penguindome.times import Clock

log = logger("penguind.alerts")

# How long others wait after one message found the other side not to be there.
_REST = timedelta(minutes=1)
_LOOK_SECONDS = 5.0


class Channel(Protocol):
    """What can carry a message to where it belongs."""

    async def send(self, alert: Alert, now: datetime) -> Outcome:
        """Try to send an alert."""

    async def rest(self) -> None:
        """Close what need not stay open while nothing is to be sent."""


class Sender:
    """Claims alerts of one channel, sends them, and notes what came of it.

    Args:
        name: the channel's name.
        channel: carries messages.
        outbox: has them.
        clock: tells the time.
        luck: returns 0 to 1, spreads tries.
    """

    def __init__(
        self,
        *,
        name: str,
        channel: Channel,
        outbox: OutboxStore,
        clock: Clock,
        luck: random.Random | None = None,
    ) -> None:
        self.name = name
        self.channel = channel
        self._outbox = outbox
        self._clock = clock
        self._luck = luck or random.SystemRandom()
        self._holder = uuid.uuid4().hex
        self._unsettled: Alert | None = None
        self._rest_until: datetime | None = None
        self._more = asyncio.Event()
        self._trouble = ""

    def wake(self) -> None:
        """Look for messages at once."""
        self._more.set()

    def problems(self) -> list[str]:
        """Return what is wrong with the channel, as sentences."""
        return [f"Alerts do not get out by {self.name}: {self._trouble}."] if self._trouble else []

    async def run(self) -> None:
        """Send for ever."""
        await keep_on(f"sending alerts by {self.name}", self._turn)

    async def _turn(self) -> None:
        if not await self.send_next():
            await self.channel.rest()
            try:
                async with asyncio.timeout(_LOOK_SECONDS):
                    await self._more.wait()
            except TimeoutError:
                pass
            self._more.clear()

    async def send_next(self) -> bool:
        """Send one message; False if none is due.

        Raises:
            Unavailable: the database is away; what came of a try is noted in the next turn.
        """
        await self._settle()
        now = self._clock()
        if self._rest_until is not None and now < self._rest_until:
            return False
        alert = await self._outbox.claim(self.name, self._holder, now, LEASE)
        if alert is None:
            return False
        if not (alert.perhaps_delivered or await self._outbox.any_open(alert.issue_ids)):
            self._unsettled = alert.withdrawn()
        else:
            outcome = await self.channel.send(alert, now)
            self._unsettled = alert.settled(outcome, self._clock(), self._luck.random())
            self._note(alert, outcome)
        await self._settle()
        return True

    async def _settle(self) -> None:
        if self._unsettled is not None:
            await self._outbox.settle(self._unsettled, self._holder)
            self._unsettled = None

    def _note(self, alert: Alert, outcome: Outcome) -> None:
        self._rest_until = self._clock() + _REST if outcome.channel_down else None
        if outcome.channel_down:
            if not self._trouble:
                log.warning("Alerts do not get out by {}: {}", self.name, outcome.answer)
            self._trouble = outcome.answer
            return
        self._trouble = ""
        if outcome.result == "sent":
            log.info("Sent alert {} to {}", alert.alert_id, alert.recipient)
        else:
            log.warning(
                "Alert {} to {} was not taken: {}", alert.alert_id, alert.recipient, outcome.answer
            )
