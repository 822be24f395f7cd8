"""Look orders, targets and output up for operators."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from penguind.domain.order import TARGET_STATES
from penguind.orders.desk import no_order
from penguindome.errors import InvalidInput, NotFound, PreconditionFailed
from penguindome.ids import is_device_id
from penguindome.orders.kinds import KINDS

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Collection, Mapping, Sequence

    from penguind.domain.order import Order, Target
    from penguind.store.devices import DeviceStore
    from penguind.store.order_output import OrderOutputStore
    from penguind.store.order_targets import OrderTargetStore
    from penguind.store.orders import OrderStore

DEFAULT_LIMIT = 100
MAX_LIMIT = 1000
STREAMS = ("stdout", "stderr")
_PREFIX = re.compile(r"[0-9A-Z]{1,26}\Z")
_LISTED = 10


class OrderLooking:
    """Reads orders; changes nothing."""

    def __init__(
        self,
        *,
        orders: OrderStore,
        targets: OrderTargetStore,
        output: OrderOutputStore,
        devices: DeviceStore,
    ) -> None:
        self._orders = orders
        self._targets = targets
        self._output = output
        self._devices = devices

    async def newest(
        self,
        limit: int,
        *,
        kinds: Sequence[str],
        device: str,
        states: Sequence[str],
        only_waiting: bool,
    ) -> list[Order]:
        """Return orders, the last submitted first; empty conditions mean any.

        Raises:
            InvalidInput: A kind or a state is none, or the limit is too high.
        """
        if limit > MAX_LIMIT:
            raise InvalidInput(f"limit is more than {MAX_LIMIT}", subject="limit")
        _check_words(kinds, KINDS.keys(), "kind")
        _check_words(states, TARGET_STATES, "state")
        ids = None
        if device or states:
            device_ids = await self._device_ids(device) if device else None
            ids = await self._targets.orders_with(device_ids=device_ids, states=states)
        return await self._orders.newest(
            limit or DEFAULT_LIMIT, kinds=kinds, order_ids=ids, only_waiting=only_waiting
        )

    async def counts(self, order_ids: Sequence[str]) -> Mapping[str, Mapping[str, int]]:
        """Return how many targets are in each state, by order."""
        return await self._targets.counts(order_ids)

    async def one(self, wanted: str) -> Order:
        """Return one order by its id or the beginning of it.

        Raises:
            NotFound: No order's id begins so.
            PreconditionFailed: Several do.
        """
        prefix = wanted.upper()
        found = await self._orders.beginning_with(prefix, _LISTED) if _PREFIX.match(prefix) else []
        if not found:
            raise no_order(wanted)
        if len(found) > 1:
            raise PreconditionFailed(
                f"several orders begin so: {', '.join(one.order_id for one in found)}",
                code="ambiguous",
                subject=wanted,
                remedy="give more of the id",
            )
        return found[0]

    async def targets(self, order: Order) -> list[Target]:
        """Return an order's targets by hostname, then part."""
        found = await self._targets.of_order(order.order_id)
        return sorted(found, key=lambda one: (one.hostname, one.device_id, one.part))

    async def output(
        self, order_id: str, device_id: str, part: str, stream: str, offset: int
    ) -> AsyncIterator[tuple[int, bytes]]:
        """Return what a program printed, from an offset on, as pieces with their offsets.

        Raises:
            InvalidInput: There is no such stream, or no such offset.
            NotFound: There is no such target.
        """
        if stream not in STREAMS or offset > 2**40:
            raise InvalidInput(
                "there is no such stream or offset", subject=stream[:32], remedy="stdout or stderr"
            )
        if await self._targets.get(order_id, device_id, part) is None:
            raise NotFound("the order has no such target", code="no-target", subject=order_id[:64])
        return self._output.read(order_id, device_id, part, stream, offset)

    async def _device_ids(self, wanted: str) -> list[str]:
        if is_device_id(wanted):
            return [wanted]
        return [one.device_id for one in await self._devices.named(wanted)]


def _check_words(words: Sequence[str], known: Collection[str], what: str) -> None:
    for word in words:
        if word not in known:
            raise InvalidInput(f"there is no such {what}", subject=word[:40])
