"""End targets by the server's own decision: only what no device was ever sent.

1. A withdrawal ends what was never sent, at once and for all devices.
2. A signed cancellation does the same for the orders that it names. Where nothing of them is left
   to be called off, it has succeeded without being sent; the other devices get it.
3. What was never sent ends with its time. What was sent and not heard of for a month after it ends,
   too: nobody will say any more what became of it.
4. What waits for a device that was revoked or deleted ends.
5. An order ended once all of its targets did; a release once nobody gets it any more.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from penguind.domain.device import STATES
from penguind.domain.order import NO_WORD_AFTER

if TYPE_CHECKING:
    from collections.abc import Collection, Sequence
    from datetime import datetime

    from penguind.domain.order import Order
    from penguind.orders.hub import Hub
    from penguind.store.devices import DeviceStore
    from penguind.store.order_targets import OrderTargetStore
    from penguind.store.orders import OrderStore

_GONE = "the device was revoked or deleted"


class Endings:
    """Ends targets and orders; whoever watches them is told."""

    def __init__(
        self, *, orders: OrderStore, targets: OrderTargetStore, devices: DeviceStore, hub: Hub
    ) -> None:
        self._orders = orders
        self._targets = targets
        self._devices = devices
        self._hub = hub

    async def withdraw(self, order_id: str, reason: str, now: datetime) -> int:
        """Take an order back from those that were not sent it; returns how many."""
        count = await self._targets.end_unsent(
            {"order_id": order_id}, state="cancelled", reason=reason, code="withdrawn", now=now
        )
        if count:
            await self._orders.withdraw(order_id, reason)
        await self.close([order_id], now)
        return count

    async def cancel(self, cancellation: Order, device_ids: Collection[str], now: datetime) -> None:
        """Do what a complete cancellation can without its devices."""
        ours = {"order_id": cancellation.order_id}
        named = {
            "order_id": {"$in": list(cancellation.cancels)},
            "device_id": {"$in": sorted(device_ids)},
        }
        reason = f"cancelled by order {cancellation.order_id}"
        await self._targets.end_unsent(
            named, state="cancelled", reason=reason, code="cancelled", now=now
        )
        found = await self._targets.named(cancellation.cancels, device_ids)
        left = [one for one in found if not one.is_final]
        # The server may have lost what a device still has: an unknown order is asked about.
        known = await self._orders.get_many(cancellation.cancels)
        asked = {one.device_id for one in left}
        if len(known) == len(set(cancellation.cancels)):
            spared = sorted(set(device_ids) - asked)
            await self._targets.end_unsent(
                {**ours, "device_id": {"$in": spared}},
                state="succeeded",
                reason="nothing was left to be called off on the device",
                code="not-needed",
                now=now,
            )
        await self._targets.mark_cancelling([one.key for one in left])
        self._hub.changed(cancellation.cancels)
        await self.close([cancellation.order_id, *cancellation.cancels], now)

    async def supersede(self, paths: Sequence[str], number: int, now: datetime) -> int:
        """Cancel patches of these paths that were never sent: a release takes their place."""
        wanted = sorted({path.lower() for path in paths})
        order_ids = await self._targets.patching(wanted)
        count = await self._targets.end_unsent(
            {"kind": "patch", "paths": {"$in": wanted}},
            state="cancelled",
            reason=f"superseded by release {number}",
            code="superseded",
            now=now,
        )
        await self.close(order_ids, now)
        return count

    async def expire(self, now: datetime) -> None:
        """End what is out of time."""
        await self._targets.end_unsent(
            {"expires_time": {"$lte": now}},
            state="expired",
            reason="it expired before it could be sent",
            code="expired",
            now=now,
        )
        await self._targets.end_silent(
            now - NO_WORD_AFTER, reason="no word from the device", code="no-word", now=now
        )

    async def leave(self, device_ids: Collection[str], now: datetime) -> None:
        """End what waits for devices that are gone."""
        await self._targets.end_unsent(
            {"device_id": {"$in": sorted(device_ids)}},
            state="cancelled",
            reason=_GONE,
            code="device-gone",
            now=now,
        )

    async def leave_gone(self, now: datetime) -> None:
        """End what waits for any device that was revoked or deleted."""
        waiting = set(await self._targets.unsent_device_ids())
        found = await self._devices.find(states=STATES, device_ids=waiting)
        there = {one.device_id for one in found if one.state != "revoked"}
        if waiting - there:
            await self.leave(waiting - there, now)

    async def close(self, order_ids: Collection[str], now: datetime) -> None:
        """Note which of the orders ended; releases never do by themselves."""
        kinds = await self._orders.unended(order_ids)
        asked = {one for one, kind in kinds.items() if kind != "release"}
        ended = asked - await self._targets.with_unfinished(asked)
        await self.close_orders(ended, now)
        self._hub.changed(order_ids)

    async def close_all(self, now: datetime) -> None:
        """Note of all orders which of them ended."""
        await self.close(await self._orders.unended(), now)

    async def close_orders(self, order_ids: Collection[str], now: datetime) -> None:
        """Note that orders ended, without a look at their targets."""
        if order_ids:
            await self._targets.order_ended(order_ids, now)
            await self._orders.end(order_ids, now)
            self._hub.changed(order_ids)
