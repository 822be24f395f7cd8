"""Who waits for news of an order in this process.

News says only that something changed: whoever waits reads what from the database. So nothing piles
up for a slow reader, and what another process stored is found the same way, if a little later.
"""

from __future__ import annotations

import asyncio
from collections import defaultdict
from contextlib import contextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator


class Hub:
    """Wakes those who watch orders."""

    def __init__(self) -> None:
        self._watchers: defaultdict[str, set[asyncio.Event]] = defaultdict(set)

    def changed(self, order_ids: Iterable[str]) -> None:
        """Tell that orders, their targets or their output changed, and are stored so."""
        for order_id in order_ids:
            for event in self._watchers.get(order_id, ()):
                event.set()

    @contextmanager
    def watching(self, *order_ids: str) -> Iterator[asyncio.Event]:
        """Lend an event that is set with each change of any of these until the block ends."""
        event = asyncio.Event()
        for order_id in order_ids:
            self._watchers[order_id].add(event)
        try:
            yield event
        finally:
            for order_id in order_ids:
                self._watchers[order_id].discard(event)
                if not self._watchers[order_id]:
                    del self._watchers[order_id]
