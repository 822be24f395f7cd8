"""Act on accepted orders at most once, each in its lane, and write down how they ended.

Lanes: urgent kinds at once; a few commands at a time; releases and patches one at a time.
An order is written down as running before its act begins, whatever the act itself tells.
"""

from __future__ import annotations

import asyncio
from contextlib import nullcontext, suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING

from logbook import Logger

from penguin_agent.failpoints import no_failpoint
from penguin_agent.orders.acts import Order, Outcome
from penguin_agent.orders.progress import OrderProgress
from penguindome.errors import PenguinDomeError
from penguindome.orders.kinds import KINDS

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Mapping
    from contextlib import AbstractAsyncContextManager
    from datetime import datetime

    from penguin_agent.failpoints import Failpoint
    from penguin_agent.orders.acts import Act
    from penguin_agent.orders.judging import Judge
    from penguin_agent.orders.output_files import OutputFiles
    from penguin_agent.orders.store import OrderStore
    from penguindome.envelope import Envelope
    from penguindome.orders.opening import Opened

log = Logger(__name__)

COMMANDS_PARALLEL = 4
CALL_OFF_SECONDS = 30.0
RETRY_SECONDS = 15.0


@dataclass(slots=True)
class _Job:
    """An order under way.

    Attributes:
        task: What acts on it.
        by_order: The order that called it off; "" while none did.
        has_ended: Whether its act is over, so that calling it off comes too late.
    """

    task: asyncio.Task[None] | None = None
    by_order: str = ""
    has_ended: bool = False


class Acting:
    """Acts on orders.

    Args:
        acts: By kind; may be completed before `start` is called.
        judge: Judges again right before an act.
        store: Remembers.
        outputs: Keep what is printed.
        clean_up: Ends what programs of an order left behind when the agent was killed.
        changed: Is called when there is something to send.
        now: The device's clock.
        group: Where acts run.
        failpoint: For tests of crashes.
    """

    def __init__(
        self,
        acts: Mapping[str, Act],
        *,
        judge: Judge,
        store: OrderStore,
        outputs: OutputFiles,
        clean_up: Callable[[str], Awaitable[None]],
        changed: Callable[[], None],
        now: Callable[[], datetime],
        group: asyncio.TaskGroup,
        failpoint: Failpoint = no_failpoint,
    ) -> None:
        self._acts = acts
        self._judge = judge
        self._store = store
        self._outputs = outputs
        self._clean_up = clean_up
        self._changed = changed
        self._now = now
        self._group = group
        self._failpoint = failpoint
        self._jobs: dict[str, _Job] = {}
        self._commands = asyncio.Semaphore(COMMANDS_PARALLEL)
        self._tree = asyncio.Lock()

    def start(self, opened: Opened, envelope: Envelope, *, resume: bool = False) -> None:
        """Act on an accepted order, or ask what became of a running one; returns at once."""
        order = order_of(opened, envelope)
        if order.order_id in self._jobs:
            return
        job = self._jobs[order.order_id] = _Job()
        job.task = self._group.create_task(
            self._work(order, opened, job, resume=resume), name=f"order {order.order_id}"
        )
        job.task.add_done_callback(lambda _task: self._jobs.pop(order.order_id, None))

    async def call_off(self, order_id: str, by_order: str) -> str:
        """End an order that has not ended; returns the state in which it is then."""
        job = self._jobs.get(order_id)
        if job is not None and job.task is not None:
            if not job.by_order and not job.has_ended:
                job.by_order = by_order
                job.task.cancel()
            await asyncio.wait({job.task}, timeout=CALL_OFF_SECONDS)
        if job is None or job.task is None or job.task.done():
            # One that was ended before its task began to run has written nothing.
            self._store.finish(order_id, "", called_off_by(by_order), self._now())
            self._changed()
        record = self._store.find(order_id)
        return record.whole.state if record is not None else "remembered"

    async def end(self) -> None:
        """End what runs, because the agent ends; the next start asks what became of it."""
        while tasks := [job.task for job in self._jobs.values() if job.task is not None]:
            for task in tasks:
                if not task.cancelling():
                    task.cancel()
            # The daemon cancels us again and again; what ends here needs its time.
            with suppress(asyncio.CancelledError):
                await asyncio.wait(tasks)

    async def _work(self, order: Order, opened: Opened, job: _Job, *, resume: bool) -> None:
        try:
            outcome = await self._outcome(order, opened, resume=resume)
        except asyncio.CancelledError:
            if not job.by_order or job.task is None:
                raise
            job.task.uncancel()
            outcome = called_off_by(job.by_order)
        job.has_ended = True
        self._failpoint("orders.acted")
        await self._finish(order, outcome)

    async def _outcome(self, order: Order, opened: Opened, *, resume: bool) -> Outcome:
        act = self._acts.get(order.kind)
        if act is None:
            return Outcome("refused", "this version cannot act on its kind", "not-supported")
        async with self._lane(order.kind):
            if not resume and (refused := self._judge.check_again(opened)) is not None:
                return refused
            try:
                return await self._act(act, order, resume=resume)
            except PenguinDomeError as error:
                log.warning("Order {}: {}", order.order_id, error)
                return Outcome("failed", error.text(), error.code)
            except Exception:  # a bug in one act must not end the others
                log.exception("The act on order {} stumbled", order.order_id)
                return Outcome("failed", "the agent stumbled; its log says how", "internal")

    async def _act(self, act: Act, order: Order, *, resume: bool) -> Outcome:
        progress = OrderProgress(
            order,
            store=self._store,
            outputs=self._outputs,
            now=self._now,
            changed=self._changed,
            failpoint=self._failpoint,
        )
        if resume:
            if not KINDS[order.kind].urgent:
                await self._clean_up(order.order_id)
            return await act.resume(order, progress)
        log.info("Order {}: {} by {}: {}", order.order_id, order.kind, order.by, order.reason)
        if not progress.begin():
            return Outcome("cancelled")
        return await act.run(order, progress)

    async def _finish(self, order: Order, outcome: Outcome) -> None:
        """Write the end down, however long the disk has no room for it."""
        self._outputs.close(order.order_id)
        kept = self._outputs.kept(order.order_id, "")
        while True:
            try:
                self._store.finish(order.order_id, "", outcome, self._now(), kept)
                break
            except PenguinDomeError as error:
                log.error("The end of order {} is not kept yet: {}", order.order_id, error)  # noqa: TRY400 -- no bug
                await asyncio.sleep(RETRY_SECONDS)
        log.info("Order {}: {} {}", order.order_id, outcome.state, outcome.reason)
        self._changed()

    def _lane(self, kind: str) -> AbstractAsyncContextManager[object]:
        if KINDS[kind].urgent:
            return nullcontext()
        return self._commands if kind == "command" else self._tree


def called_off_by(by_order: str) -> Outcome:
    """Return how an order ends that another one called off."""
    return Outcome("cancelled", f"called off by order {by_order}", "called-off")


def order_of(opened: Opened, envelope: Envelope) -> Order:
    """Return what an act is given."""
    payload = opened.payload
    return Order(
        order_id=payload.id,
        kind=payload.kind,
        body=opened.body,
        number=payload.seq or 0,
        by=payload.by,
        reason=payload.reason,
        issued_time=payload.issued_time,
        expires_time=payload.expires_time,
        envelope=envelope,
    )
