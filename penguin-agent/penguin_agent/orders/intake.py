"""Take envelopes in without holding up the stream, and decide on each: act, answer or refuse.

What cannot be written down is not acted on: it is looked at again later, and the server sends it
again at the next check-in.
"""

from __future__ import annotations

import asyncio
import itertools
from contextlib import nullcontext
from typing import TYPE_CHECKING

from logbook import Logger

from penguin_agent.failpoints import no_failpoint
from penguin_agent.orders.acting import called_off_by
from penguin_agent.orders.calling_off import fits
from penguin_agent.orders.judging import Refusal
from penguin_agent.orders.records import summary_of
from penguin_agent.orders.refusals import Refused
from penguin_agent.orders.store import sha256
from penguin_agent.orders.voice import Kept, worded
from penguindome.errors import Damaged, PenguinDomeError
from penguindome.orders.kinds import KINDS

if TYPE_CHECKING:
    from collections.abc import Callable
    from datetime import datetime

    from penguin_agent.failpoints import Failpoint
    from penguin_agent.orders.acting import Acting
    from penguin_agent.orders.judging import Judge
    from penguin_agent.orders.store import OrderStore
    from penguin_agent.orders.voice import Voice
    from penguindome.envelope import Envelope
    from penguindome.orders.opening import Opened

log = Logger(__name__)

WAITING_LIMIT = 128
# They build on each other: judged side by side, a later one could overtake an earlier one.
_IN_TURN = frozenset({"release", "patch"})
RETRY_SECONDS = 60.0


class Intake:
    """The queue of envelopes.

    Args:
        judge: Judges.
        store: Remembers.
        acting: Acts.
        voice: Says what is refused.
        changed: Is called when there is something to send.
        now: The device's clock.
        failpoint: For tests of crashes.
    """

    def __init__(
        self,
        *,
        judge: Judge,
        store: OrderStore,
        acting: Acting,
        voice: Voice,
        changed: Callable[[], None],
        now: Callable[[], datetime],
        failpoint: Failpoint = no_failpoint,
    ) -> None:
        self._judge = judge
        self._store = store
        self._acting = acting
        self._voice = voice
        self._changed = changed
        self._now = now
        self._failpoint = failpoint
        self._numbers = itertools.count()
        self._turn = asyncio.Lock()
        self._queue: asyncio.PriorityQueue[tuple[int, int, Envelope]] = asyncio.PriorityQueue(
            WAITING_LIMIT
        )

    def put(self, envelope: Envelope) -> bool:
        """Queue an envelope, an urgent one before others; False when too many wait."""
        # The kind is part of what is signed: who lies about it only reaches its end sooner.
        kind = KINDS.get(envelope.kind)
        rank = 0 if kind is not None and kind.urgent else 1
        try:
            self._queue.put_nowait((rank, next(self._numbers), envelope))
        except asyncio.QueueFull:
            log.warning("Too many orders wait to be judged; one is dropped until it comes again")
            return False
        return True

    async def run(self) -> None:
        """Judge one envelope after the other, for ever; several may do this at once."""
        while True:
            _, _, envelope = await self._queue.get()
            try:
                await self._take(envelope)
            except Damaged as error:
                log.error("The memory of orders is damaged: {}", error.reason)  # noqa: TRY400 -- no bug
                await self._reopen()
                self.put(envelope)
            except PenguinDomeError as error:
                log.warning("An order is not taken yet, as it cannot be remembered: {}", error)
                await asyncio.sleep(RETRY_SECONDS)
                self.put(envelope)
            except Exception:  # one envelope must not keep others from being judged
                log.exception("The judging of an order stumbled")

    async def _reopen(self) -> None:
        try:
            self._store.open(self._now())
        except PenguinDomeError as error:
            log.error("The memory of orders cannot be opened: {}", error)  # noqa: TRY400 -- no bug
            await asyncio.sleep(RETRY_SECONDS)

    async def _take(self, envelope: Envelope) -> None:
        async with self._turn if envelope.kind in _IN_TURN else nullcontext():
            try:
                opened = await self._judge.open(envelope)
            except Refusal as refusal:
                self._refuse(refusal, envelope)
            else:
                self._failpoint("orders.judged")
                self._decide(opened, envelope)
        self._changed()

    def _decide(self, opened: Opened, envelope: Envelope) -> None:
        """Act, answer or refuse; nothing else happens in between."""
        payload = opened.payload
        if self._answered(payload.id, envelope):
            return
        summary = summary_of(opened.body)
        try:
            self._judge.remember(opened, envelope, self._store)
        except Refusal as refusal:
            log.warning("Order {} is refused: {}", payload.id, refusal)
            self._store.refuse(payload, envelope, refusal.outcome, self._now(), summary)
            return
        called_off = self._store.refusals.called_off(payload.id)
        by_orders = [by for kind, by in called_off.items() if fits(kind, payload.kind)]
        if by_orders:
            outcome = called_off_by(by_orders[0])
            self._store.refuse(payload, envelope, outcome, self._now(), summary)
            return
        self._store.accept(opened, envelope, self._now())
        self._acting.start(opened, envelope)

    def _refuse(self, refusal: Refusal, envelope: Envelope) -> None:
        payload = refusal.payload
        if not refusal.signed or payload is None or not self._is_ours(refusal):
            self._refuse_unknown(refusal, envelope)
        elif not self._answered(payload.id, envelope):
            log.warning("Order {} is refused: {}", payload.id, refusal)
            self._store.refuse(payload, envelope, refusal.outcome, self._now(), refusal.summary)

    def _answered(self, order_id: str, envelope: Envelope) -> bool:
        """Say again what became of a known order; False if it is not known."""
        record = self._store.find(order_id)
        if record is None:
            return False
        if record.payload_sha256 != sha256(envelope.payload):
            log.warning("Another order has the id of order {}; it is not acted on", order_id)
        self._store.answer_again(order_id, self._now())
        return True

    def _is_ours(self, refusal: Refusal) -> bool:
        return refusal.outcome.code not in ("wrong-fleet", "wrong-device", "wrong-kind")

    def _refuse_unknown(self, refusal: Refusal, envelope: Envelope) -> None:
        """Note what operators did not sign for this device; the server hears of it once."""
        log.warning("What is no order for this device is refused: {}", refusal)
        now, payload, outcome = self._now(), refusal.payload, refusal.outcome
        refused = Refused(
            digest=sha256(envelope.kind.encode() + b"\0" + envelope.payload),
            order_id=payload.id if payload is not None else "",
            kind=envelope.kind[:32],
            code=outcome.code,
            why=outcome.reason,
            first_time=now,
            last_time=now,
        )
        sealed = None
        if payload is not None:
            bare = self._voice.receipt(payload.id, "", "refused", 1, now)
            sealed = self._voice.seal(worded(bare, outcome, Kept()))
        self._store.refusals.add(refused, sealed)
