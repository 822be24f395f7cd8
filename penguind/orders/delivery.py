"""Hand orders to the devices that are connected here.

Whatever makes an order due only names devices; one worker looks after all that were named together,
so that two hundred devices cost no more turns of the database than one. A target is stored as sent
before it is sent. What was sent and has not ended is sent again whenever the device comes back: it
answers from its memory.
"""

from __future__ import annotations

import asyncio
from collections import Counter, defaultdict
from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING

from penguind.domain.order import target_key
from penguind.domain.order_delivery import UNHEARD_LIMIT, to_send
from penguind.domain.order_making import release_target
from penguind.presence import Order as OrderMessage
from penguind.workers import heed_cancellation, keep_on
from penguindome.ids import new_ulid

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Sequence

    from penguind.domain.order import Order
    from penguind.domain.order_delivery import Unheard
    from penguind.orders.hub import Hub
    from penguind.orders.seams import Offers
    from penguind.presence import Presence
    from penguind.store.order_targets import OrderTargetStore
    from penguind.store.orders import OrderStore
    from penguindome.times import Clock

RELEASES = "releases"
_AT_ONCE = 500
_LOOK_SECONDS = 1.0
# Other processes' clocks may differ, and their transactions take a moment.
_OVERLAP = timedelta(seconds=30)
#: How many orders of a device in these states are sent again.
_AGAIN = {("sent",): 2 * UNHEARD_LIMIT, ("accepted", "running"): UNHEARD_LIMIT}

Pair = tuple[str, str]


@dataclass(frozen=True, slots=True)
class Here:
    """What a connected device said of itself."""

    hostname: str
    release: int
    denied: frozenset[str]


class Delivery:
    """Sends orders; `run` and `look` have to run.

    Args:
        presence: holds the streams.
        orders: have what was signed.
        targets: have who gets it.
        hub: is told what was sent.
        offers: has what devices should have without an order of their own.
        clock: tells the time.
    """

    def __init__(
        self,
        *,
        presence: Presence,
        orders: OrderStore,
        targets: OrderTargetStore,
        hub: Hub,
        offers: Offers,
        clock: Clock,
    ) -> None:
        self._presence = presence
        self._orders = orders
        self._targets = targets
        self._hub = hub
        self._offers = offers
        self._clock = clock
        self._wake = asyncio.Event()
        self._wanted: set[str] = set()
        self._back: set[str] = set()
        self._here: dict[str, Here] = {}
        self._looked_time = clock()

    def come(self, device_id: str, here: Here) -> None:
        """Hear that a device opened its stream."""
        self._here[device_id] = here
        self._back.add(device_id)
        self.want([device_id])

    def runs(self, device_id: str, release: int) -> None:
        """Hear that a device runs a release from now on."""
        here = self._here.get(device_id)
        if here is not None:
            self._here[device_id] = Here(here.hostname, release, here.denied)

    def want(self, device_ids: Collection[str]) -> None:
        """Have these devices looked after soon, as far as they are connected here."""
        self._wanted.update(one for one in device_ids if self._presence.connected(one))
        if self._wanted:
            self._wake.set()

    async def run(self) -> None:
        """Send what is due for ever."""
        await keep_on("handing out orders", self._turn)

    async def look(self) -> None:
        """Find for ever what other processes queued for devices that are connected here."""
        await keep_on("looking for queued orders", self._look)

    async def _look(self) -> None:
        await asyncio.sleep(_LOOK_SECONDS)
        heed_cancellation()
        now = self._clock()
        self.want(await self._targets.lately_queued(min(self._looked_time, now) - _OVERLAP))
        self._looked_time = now
        for device_id in self._here.keys() - self._presence.connected_ids():
            del self._here[device_id]

    async def _turn(self) -> None:
        await self._wake.wait()
        heed_cancellation()
        wanted = sorted(self._wanted)[:_AT_ONCE]
        back = self._back & set(wanted)
        self._wanted.difference_update(wanted)
        self._back -= back
        if not self._wanted:
            self._wake.clear()
        try:
            await self._hand_out([one for one in wanted if self._presence.connected(one)], back)
        except BaseException:
            self._back |= back
            self.want(wanted)
            raise

    async def _hand_out(self, device_ids: Sequence[str], back: Collection[str]) -> None:
        if not device_ids:
            return
        now = self._clock()
        sending = await self._to_repeat(back)
        found = await self._targets.unheard(device_ids, now)
        chosen = to_send(found)
        if chosen:
            claimed = await self._targets.claim(chosen, new_ulid(now), now)
            sending += [
                (one.order_id, one.device_id)
                for one in chosen
                if target_key(one.order_id, one.device_id) in claimed
            ]
        orders = await self._orders.get_many({order_id for order_id, _ in sending})
        self._send(sending, orders.values())
        await self._offer(device_ids, found)

    async def _to_repeat(self, back: Collection[str]) -> list[Pair]:
        """Return what is sent again to devices that came back.

        All that they have not answered; of what they answered, as much as leaves room for more:
        only a device that lost its memory has something new to say about it.
        """
        if not back:
            return []
        pairs: list[Pair] = []
        for states, limit in _AGAIN.items():
            count: Counter[str] = Counter()
            for one in await self._targets.asked_again(back, states, limit * len(back)):
                count[one.device_id] += 1
                if count[one.device_id] <= limit:
                    pairs.append((one.order_id, one.device_id))
        return pairs

    async def _offer(self, device_ids: Iterable[str], found: Iterable[Unheard]) -> None:
        """Send releases to devices that should have another than they run."""
        now = self._clock()
        busy = Counter(one.device_id for one in found if not one.urgent)
        there = {one: self._here[one] for one in device_ids if one in self._here}
        running = {
            device_id: here.release
            for device_id, here in there.items()
            if RELEASES not in here.denied and busy[device_id] < UNHEARD_LIMIT
        }
        due = await self._offers.due(running, now) if running else {}
        made = [
            release_target(order, device_id, there[device_id].hostname, now)
            for device_id, order in due.items()
        ]
        added = await self._targets.add(made)
        self._send([(one.order_id, one.device_id) for one in added], due.values())

    def _send(self, pairs: Iterable[Pair], orders: Iterable[Order]) -> None:
        by_id = {one.order_id: one for one in orders}
        by_order: defaultdict[str, list[str]] = defaultdict(list)
        for order_id, device_id in pairs:
            by_order[order_id].append(device_id)
        for order_id in sorted(by_order.keys() & by_id.keys()):
            order = by_id[order_id]
            message = OrderMessage(order.envelope, urgent=order.urgent)
            for device_id in by_order[order_id]:
                self._presence.push(device_id, message)
        self._hub.changed(by_order)
