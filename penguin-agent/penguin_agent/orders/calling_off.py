"""Call orders off: those that wait, those that run, and those that have not come yet."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

from penguin_agent.orders.acts import Outcome
from penguin_agent.orders.store import REMEMBERED
from penguindome.orders.bodies import CancelBody
from penguindome.orders.kinds import KINDS

if TYPE_CHECKING:
    from penguin_agent.orders.acts import Order, Progress
    from penguin_agent.orders.records import Record
    from penguin_agent.orders.store import OrderStore

# Which kinds a cancellation is for, beside the one that it is named after.
_ALSO = {"wipe": ("wipe-plan",)}


class Running(Protocol):
    """What is under way."""

    async def call_off(self, order_id: str, by_order: str) -> str:
        """End an order that has not ended; returns the state in which it is then."""


class CancelAct:
    """Acts on cancellations; it may be begun again, since it only takes away.

    Args:
        store: Knows what came, and remembers what has not.
        running: What is under way.
    """

    def __init__(self, store: OrderStore, running: Running) -> None:
        self._store = store
        self._running = running

    async def run(self, order: Order, progress: Progress) -> Outcome:
        """Call off what the order names; the details say what became of each."""
        progress.running()
        if not isinstance(order.body, CancelBody):
            raise TypeError(order.kind)
        kind = KINDS[order.kind].cancels
        known = {one: self._store.find(one) for one in order.body.order_ids}
        # First, and without a pause: what comes from now on is called off when it comes.
        early = [order_id for order_id, record in known.items() if record is None]
        until = max(order.expires_time, order.issued_time + KINDS[kind].longest) + REMEMBERED
        self._store.refusals.call_off(early, kind, order.order_id, until)
        done = dict.fromkeys(early, "remembered")
        for order_id, record in known.items():
            if record is not None:
                done[order_id] = await self._end(record, kind, order.order_id)
        return Outcome("succeeded", details={"orders": done})

    async def _end(self, record: Record, kind: str, by_order: str) -> str:
        if not fits(kind, record.kind):
            return "other-kind"
        if record.whole.is_final:
            return record.whole.state
        return await self._running.call_off(record.order_id, by_order)

    async def resume(self, order: Order, progress: Progress) -> Outcome:
        """Do it again: what has ended stays as it is."""
        return await self.run(order, progress)


def fits(cancelled_kind: str, kind: str) -> bool:
    """Tell whether a cancellation of one kind is for orders of another."""
    return kind == cancelled_kind or kind in _ALSO.get(cancelled_kind, ())
