"""What has to be done about orders beside the calls: ends, repairs, issues."""

from __future__ import annotations

import asyncio
from collections import defaultdict
from datetime import timedelta
from typing import TYPE_CHECKING

from penguind.orders import findings
from penguind.workers import heed_cancellation, keep_on

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping
    from datetime import datetime

    from penguind.domain.order import Order, Target
    from penguind.orders.delivery import Delivery
    from penguind.orders.endings import Endings
    from penguind.orders.seams import Releases
    from penguind.own_issues import OwnIssues
    from penguind.store.devices import DeviceStore
    from penguind.store.order_targets import OrderTargetStore
    from penguind.store.orders import OrderStore
    from penguindome.times import Clock

EVERY = timedelta(minutes=1)
# A patch that thousands of devices take at once is not looked at for each of them.
TELL_EVERY = timedelta(seconds=1)
_PAUSE_SECONDS = 1.0


class OrderUpkeep:
    """Ends what is out of time, and keeps the issues about them in line; `run` has to run.

    Args:
        orders: all orders.
        targets: their targets.
        devices: note which release a device runs.
        endings: ends them.
        delivery: sends what a repair queued.
        releases: hear of what ended.
        issues: opens and closes issues.
        clock: tells the time; a minute is one by this clock.
    """

    def __init__(
        self,
        *,
        orders: OrderStore,
        targets: OrderTargetStore,
        devices: DeviceStore,
        endings: Endings,
        delivery: Delivery,
        releases: Releases,
        issues: OwnIssues,
        clock: Clock,
    ) -> None:
        self._orders = orders
        self._targets = targets
        self._devices = devices
        self._endings = endings
        self._delivery = delivery
        self._releases = releases
        self._issues = issues
        self._clock = clock
        self._wake = asyncio.Event()
        self._ended: set[str] = set()
        self._releases_ended: defaultdict[str, set[str]] = defaultdict(set)
        self._taken: defaultdict[str, set[str]] = defaultdict(set)
        self._findings_changed = True
        self._looked_time: datetime | None = None
        self._told_time: datetime | None = None

    def ended(self, target: Target) -> None:
        """Hear that a target ended by its device's word, and is stored so."""
        if target.kind == "release":
            self._releases_ended[target.order_id].add(target.device_id)
            if target.state == "succeeded" and not target.part:
                self._taken[target.order_id].add(target.device_id)
        else:
            self._ended.add(target.order_id)
        if target.kind == "patch" or target.state == "refused":
            self._findings_changed = True
        self._wake.set()

    def patches_changed(self) -> None:
        """Hear that patches were handed in or ended."""
        self._findings_changed = True
        self._wake.set()

    def devices_left(self) -> None:
        """Hear that a device was revoked."""
        self._looked_time = None
        self._wake.set()

    async def leave(self, device_id: str) -> None:
        """End what waits for a device that is about to be deleted."""
        await self._endings.leave([device_id], self._clock())
        self.patches_changed()

    async def run(self) -> None:
        """Work for ever."""
        await keep_on("the upkeep of orders", self._turn)

    async def activate(self, order: Order, device_ids: Collection[str], now: datetime) -> None:
        """Have an order whose signatures suffice sent; repeating it is harmless."""
        if order.cancels:
            await self._endings.cancel(order, device_ids, now)
            self._findings_changed = True
        await self._targets.queue(order.order_id, now)
        self._delivery.want(device_ids)

    async def look(self, now: datetime) -> None:
        """Do all that time brings.

        Raises:
            Unavailable: the database is away.
        """
        await self._endings.expire(now)
        await self._endings.leave_gone(now)
        for order in await self._left_waiting():
            left = await self._targets.of_order(order.order_id)
            await self.activate(order, [one.device_id for one in left], now)
        await self._endings.close_all(now)
        await self._tell(now)

    async def _left_waiting(self) -> list[Order]:
        """Return orders that are complete, and whose targets wait because a server ended."""
        ids = await self._targets.orders_with(device_ids=None, states=["waiting"])
        found = await self._orders.get_many(ids)
        return [one for one in found.values() if not one.missing]

    async def _turn(self) -> None:
        now, looked = self._clock(), self._looked_time
        self._wake.clear()
        if _passed(looked, now, EVERY):
            self._looked_time = now
            try:
                await self.look(now)
            except BaseException:
                self._looked_time = None
                raise
        await self._close(now)
        if self._findings_changed and _passed(self._told_time, now, TELL_EVERY):
            await self._tell(now)
        heed_cancellation()
        try:
            async with asyncio.timeout(_PAUSE_SECONDS):
                await self._wake.wait()
        except TimeoutError:
            return

    async def _close(self, now: datetime) -> None:
        ended, self._ended = self._ended, set()
        releases, self._releases_ended = self._releases_ended, defaultdict(set)
        taken, self._taken = self._taken, defaultdict(set)
        try:
            if ended:
                await self._endings.close(ended, now)
            await self._note_running(taken)
            for order_id, device_ids in releases.items():
                await self._releases.heard(order_id, device_ids, now)
        except BaseException:
            self._ended |= ended
            for order_id, device_ids in releases.items():
                self._releases_ended[order_id] |= device_ids
                self._taken[order_id] |= taken[order_id]
            raise

    async def _note_running(self, taken: Mapping[str, Collection[str]]) -> None:
        """Note the releases that devices run now, before their next check-in says so."""
        orders = await self._orders.get_many(taken.keys()) if taken else {}
        for order in orders.values():
            device_ids = taken[order.order_id]
            await self._devices.run_release(device_ids, order.number)
            for device_id in device_ids:
                self._delivery.runs(device_id, order.number)

    async def _tell(self, now: datetime) -> None:
        self._findings_changed = False
        self._told_time = now
        try:
            patches = findings.pending(await self._targets.unfinished_patches())
            await self._issues.reconcile(
                findings.PATCHES, patches, now, gone="no patch waits any more"
            )
            refused = await self._targets.refused_since(
                now - findings.REFUSED_FOR, findings.CONTRADICTIONS
            )
            await self._issues.reconcile(
                findings.REFUSED, findings.refused(refused), now, gone="a week went by without"
            )
        except BaseException:
            self._findings_changed = True
            raise


def _passed(last: datetime | None, now: datetime, span: timedelta) -> bool:
    """Tell whether it is time again; also when the clock was put back."""
    return last is None or not last <= now < last + span
