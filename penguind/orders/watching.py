"""Tell one watcher what happens to an order: first all that is, then what changes.

Each time something changed, and once a second in case another process changed it, what is new is
read from the database. A target is told again when its revision grew; of what was printed, what
lies beyond the last byte that was told, and before the state that it led to.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING

from penguind.domain.order import Target, counted
from penguind.orders.desk import no_order
from penguind.store.order_output import Piece

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Iterable, Mapping
    from datetime import datetime

    from penguind.domain.order import Order
    from penguind.orders.hub import Hub
    from penguind.store.order_output import OrderOutputStore
    from penguind.store.order_targets import OrderTargetStore
    from penguind.store.orders import OrderStore

_LOOK_SECONDS = 1.0
# A change that was stored earlier may be seen later.
_OVERLAP = timedelta(seconds=5)
# How often output that a device owes after its end is looked for in vain.
_PATIENCE = 30
STREAMS = ("stdout", "stderr")


@dataclass(frozen=True, slots=True)
class OrderNow:
    """An order as it is, with the number of its targets by state."""

    order: Order
    counts: Mapping[str, int]


@dataclass(frozen=True, slots=True)
class Started:
    """All that was at the beginning has been told."""


Event = OrderNow | Started | Piece | Target


class Watching:
    """Follows orders."""

    def __init__(
        self,
        *,
        orders: OrderStore,
        targets: OrderTargetStore,
        output: OrderOutputStore,
        hub: Hub,
        look_seconds: float = _LOOK_SECONDS,
    ) -> None:
        self._orders = orders
        self._targets = targets
        self._output = output
        self._hub = hub
        self._look_seconds = look_seconds

    async def follow(self, order_id: str, *, output: bool) -> AsyncGenerator[Event, None]:
        """Yield what happens until every target ended and all that was printed is told.

        Raises:
            NotFound: There is no such order.
        """
        with self._hub.watching(order_id) as changed:
            view = _View(
                order_id=order_id,
                orders=self._orders,
                targets=self._targets,
                output=self._output if output else None,
            )
            async for event in view.beginning():
                yield event
            yield Started()
            while not view.is_over():
                await self._wait(changed)
                changed.clear()
                async for event in view.news():
                    yield event

    async def _wait(self, changed: asyncio.Event) -> None:
        try:
            async with asyncio.timeout(self._look_seconds):
                await changed.wait()
        except TimeoutError:
            return


class _View:
    """What one watcher was told."""

    def __init__(
        self,
        *,
        order_id: str,
        orders: OrderStore,
        targets: OrderTargetStore,
        output: OrderOutputStore | None,
    ) -> None:
        self._order_id = order_id
        self._orders = orders
        self._targets = targets
        self._output = output
        self._told: dict[str, Target] = {}
        self._printed: Counter[tuple[str, str]] = Counter()
        self._now: OrderNow | None = None
        self._since: datetime | None = None
        self._patience = _PATIENCE

    def is_over(self) -> bool:
        """Tell whether nothing is to be expected any more."""
        if self._now is None or self._now.order.ended_time is None:
            return False
        owes = any(one.owes_output() for one in self._told.values())
        return self._output is None or not owes or self._patience <= 0

    async def beginning(self) -> AsyncGenerator[Event, None]:
        """Yield the order, then its targets with what was printed.

        Raises:
            NotFound: There is no such order.
        """
        order = await self._orders.get(self._order_id)
        if order is None:
            raise no_order(self._order_id)
        changed = await self._changed()
        self._now = self._order_now(order)
        yield self._now
        async for event in self._news_of(changed):
            yield event

    async def news(self) -> AsyncGenerator[Event, None]:
        """Yield what changed since: targets with what was printed, then the order."""
        # Read before its targets: what ends it comes later, and is told with the next news.
        order = await self._orders.get(self._order_id)
        changed = await self._changed()
        self._patience = _PATIENCE if changed else self._patience - 1
        async for event in self._news_of(changed):
            yield event
        if order is None:
            raise no_order(self._order_id)
        now = self._order_now(order)
        if now != self._now:
            self._now = now
            yield now

    def _order_now(self, order: Order) -> OrderNow:
        return OrderNow(order, counted(self._told.values()))

    async def _changed(self) -> list[Target]:
        since = self._since and self._since - _OVERLAP
        found, newest = await self._targets.changes(self._order_id, since)
        self._since = newest or self._since
        new = [one for one in found if self._is_new(one)]
        self._told |= {one.key: one for one in new}
        return new

    def _is_new(self, one: Target) -> bool:
        told = self._told.get(one.key)
        return told is None or told.revision < one.revision

    async def _news_of(self, targets: Iterable[Target]) -> AsyncGenerator[Event, None]:
        for one in sorted(targets, key=lambda one: (one.hostname, one.device_id, one.part)):
            if self._output is not None:
                for stream in STREAMS:
                    async for piece in self._printed_by(self._output, one, stream):
                        yield piece
            yield one

    async def _printed_by(
        self, output: OrderOutputStore, target: Target, stream: str
    ) -> AsyncGenerator[Piece, None]:
        place = (target.key, stream)
        if self._printed[place] >= target.held(stream):
            return
        ids = (target.order_id, target.device_id, target.part, stream)
        async for offset, data in output.read(*ids, self._printed[place]):
            self._printed[place] = offset + len(data)
            yield Piece(*ids, offset, data)
