"""How an act tells what happens: every word is on the disk when a call returns."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from penguin_agent.orders.outbox import Stream
from penguindome.orders.bodies import CommandBody

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from datetime import datetime

    from penguin_agent.failpoints import Failpoint
    from penguin_agent.orders.acts import Order, Outcome
    from penguin_agent.orders.output_files import OutputFiles
    from penguin_agent.orders.store import OrderStore

PART_LIMIT_BYTES = 1024 * 1024


class OrderProgress:
    """The progress of one order; it may be told from any thread.

    Args:
        order: The order.
        store: Keeps states.
        outputs: Keep what is printed.
        now: The device's clock.
        changed: Is called when there is something to send.
        failpoint: For tests of crashes.
    """

    def __init__(
        self,
        order: Order,
        *,
        store: OrderStore,
        outputs: OutputFiles,
        now: Callable[[], datetime],
        changed: Callable[[], None],
        failpoint: Failpoint,
    ) -> None:
        self._order = order
        self._store = store
        self._outputs = outputs
        self._now = now
        self._changed = changed
        self._failpoint = failpoint
        self._begun = False
        self._printed: set[Stream] = set()

    def begin(self) -> bool:
        """Note that the act begins, whether or not it says so itself; False if it has ended."""
        self._begun = self._store.running(self._order.order_id, "", {}, self._now())
        self._changed()
        return self._begun

    def running(self, *, part: str = "", details: Mapping[str, Any] | None = None) -> None:
        """Note that the act, or a part of it, began or went on."""
        if self._begun and not part and not details:
            return
        order_id = self._order.order_id
        kept = self._outputs.kept(order_id, part)
        self._store.running(order_id, part, details or {}, self._now(), kept)
        self._changed()

    def output(self, stream: str, data: bytes, *, part: str = "") -> bool:
        """Keep what a program printed; False when not all of it could be kept."""
        chosen = Stream(self._order.order_id, part, stream)
        if chosen not in self._printed:
            # First, since what is not listed is not sent after a crash.
            self._store.outbox.begin(chosen)
            self._printed.add(chosen)
        before, after = self._outputs.append(chosen, data, self._limit())
        self._failpoint("orders.output-written")
        if after > before:
            self._changed()
        return after - before == len(data)

    def ended(self, part: str, outcome: Outcome) -> None:
        """Note how a part ended."""
        order_id = self._order.order_id
        self._outputs.close(order_id, part)
        kept = self._outputs.kept(order_id, part)
        self._store.finish(order_id, part, outcome, self._now(), kept)
        self._changed()

    def _limit(self) -> int:
        body = self._order.body
        return body.output_limit_bytes if isinstance(body, CommandBody) else PART_LIMIT_BYTES
