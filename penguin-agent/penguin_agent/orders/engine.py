"""The engine of orders: take them in, act on them at most once, and say how they ended.

put → judged → written down as accepted → (its lane) → written down as running → acted on → its end
written down. A crash loses nothing of this: what was accepted begins at the next start, what was
running is asked what became of it, and never begun again.
"""

from __future__ import annotations

import asyncio
from datetime import timedelta
from typing import TYPE_CHECKING, Any

from logbook import Logger

from penguin_agent.orders.judging import PARALLEL, Refusal, reopened
from penguindome.errors import PenguinDomeError

if TYPE_CHECKING:
    from collections.abc import Callable

    from penguin_agent.clock import DeviceClock
    from penguin_agent.orders.acting import Acting
    from penguin_agent.orders.intake import Intake
    from penguin_agent.orders.judging import Judge
    from penguin_agent.orders.output_files import OutputFiles
    from penguin_agent.orders.records import Record
    from penguin_agent.orders.store import OrderStore
    from penguindome.envelope import Envelope

log = Logger(__name__)

OPEN_SECONDS = 30.0
TIDY_PERIOD = timedelta(hours=6)


class Engine:
    """Orders on this device.

    Args:
        store: Remembers.
        outputs: Keep what is printed.
        judge: Judges.
        acting: Acts.
        intake: Takes envelopes in.
        clock: The device's.
        changed: Is called when there is something to send.
        group: Where envelopes are judged.
    """

    def __init__(
        self,
        *,
        store: OrderStore,
        outputs: OutputFiles,
        judge: Judge,
        acting: Acting,
        intake: Intake,
        clock: DeviceClock,
        changed: Callable[[], None],
        group: asyncio.TaskGroup,
    ) -> None:
        self._store = store
        self._outputs = outputs
        self._judge = judge
        self._acting = acting
        self._intake = intake
        self._clock = clock
        self._changed = changed
        self._group = group

    def put(self, envelope: Envelope) -> None:
        """Take an envelope in; returns at once."""
        self._intake.put(envelope)

    @property
    def refused(self) -> dict[str, Any]:
        """Return how many envelopes of a week were no orders, and why the last was none."""
        if not self._store.file.is_open:
            return {"count": 0, "reason": ""}
        count, reason = self._store.refusals.count(self._clock.now())
        return {"count": count, "reason": reason}

    async def run(self) -> None:
        """Judge and act for ever."""
        await self._open()
        await self._go_on()
        self._changed()
        judging = [
            self._group.create_task(self._intake.run(), name="judging") for _ in range(PARALLEL)
        ]
        try:
            while True:
                self._tidy()
                await asyncio.sleep(TIDY_PERIOD.total_seconds())
        finally:
            for task in judging:
                task.cancel()
            await self._acting.end()

    async def _open(self) -> None:
        while True:
            try:
                return self._store.open(self._clock.now())
            except PenguinDomeError as error:
                log.error("No orders are taken, as none can be remembered: {}", error)  # noqa: TRY400 -- no bug
                await asyncio.sleep(OPEN_SECONDS)

    async def _go_on(self) -> None:
        """Go on with what an earlier run of the agent left."""
        for record in self._store.unfinished():
            try:
                await self._go_on_with(record)
            except Refusal as refusal:
                self._end(record, refusal)

    async def _go_on_with(self, record: Record) -> None:
        if record.envelope is None:
            return
        if record.whole.state == "running":
            self._acting.start(reopened(record.envelope), record.envelope, resume=True)
            return
        # Whoever may no longer order this may not have it done now.
        opened = await self._judge.open(record.envelope)
        self._acting.start(opened, record.envelope)

    def _end(self, record: Record, refusal: Refusal) -> None:
        log.warning("Order {} does not begin: {}", record.order_id, refusal)
        self._store.finish(record.order_id, "", refusal.outcome, self._clock.now())

    def _tidy(self) -> None:
        """Forget what is too old; it takes this clock and the server's to bring that about."""
        try:
            gone = self._store.forget(min(self._clock.now(), self._clock.best()))
            known = {one.order_id for one in self._store.unfinished()}
            known |= {one.stream.order_id for one in self._store.outbox.streams()}
            for order_id in {*gone, *self._outputs.present()} - known:
                self._outputs.remove(order_id)
        except PenguinDomeError as error:
            log.warning("Old orders are not forgotten yet: {}", error)
