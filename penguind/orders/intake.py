"""Store a new order together with its targets, or say what stands in its way."""

from __future__ import annotations

from typing import TYPE_CHECKING

from penguind.domain.device import STATES
from penguind.domain.order_making import new_targets
from penguindome.errors import InvalidInput, PreconditionFailed, Unavailable

if TYPE_CHECKING:
    from collections.abc import Sequence

    from penguind.domain.order import Order, Target
    from penguind.store.database import Database, Session
    from penguind.store.devices import DeviceStore
    from penguind.store.order_targets import OrderTargetStore
    from penguind.store.orders import OrderStore
    from penguindome.orders.opening import Opened

_SECONDS = 30.0
_NAMED = 20


class OrderIntake:
    """Stores new orders."""

    def __init__(
        self,
        *,
        database: Database,
        orders: OrderStore,
        targets: OrderTargetStore,
        devices: DeviceStore,
    ) -> None:
        self._database = database
        self._orders = orders
        self._targets = targets
        self._devices = devices

    async def check_devices(self, device_ids: Sequence[str]) -> None:
        """Refuse an order for devices that cannot get it.

        Raises:
            PreconditionFailed: Names those that are unknown or not active.
        """
        found = await self._devices.find(states=STATES, device_ids=device_ids)
        states = {one.device_id: one.state for one in found}
        wrong = [
            f"{one} ({states.get(one, 'unknown')})"
            for one in device_ids
            if states.get(one) != "active"
        ]
        if wrong:
            devices = "a device" if len(wrong) == 1 else f"{len(wrong)} devices"
            raise PreconditionFailed(
                f"the order names {devices} that cannot get it: {_some(wrong)}",
                code="wrong-devices",
                remedy="leave them out; penguinctl device list shows which are active",
            )

    async def store(self, order: Order, opened: Opened) -> Order:
        """Store an order and its targets together; returns the one that is stored under its id.

        Raises:
            PreconditionFailed: Another patch of the same files has yet to be taken.
        """
        targets = new_targets(order, opened)

        async def work(session: Session) -> None:
            await self._orders.insert(order, session=session)
            await self._targets.insert(targets, order.submitted_time, session=session)

        try:
            await self._database.transaction(work, seconds=_SECONDS)
        except InvalidInput as error:
            if error.code != "used-id":
                raise
            there = await self._orders.get(order.order_id)
            if there is None:
                await self._refuse_conflict(targets)
                raise Unavailable(
                    "another patch of the same files was there a moment ago", remedy="Try again"
                ) from None
            return there
        return order

    async def _refuse_conflict(self, targets: Sequence[Target]) -> None:
        """Say which patch stands in the way."""
        device_ids = [one.device_id for one in targets]
        paths = {path for one in targets for path in one.paths}
        found = await self._targets.conflicting(device_ids, paths)
        if not found:
            return
        first = [one for one in found if one.order_id == found[0].order_id]
        shared = sorted(paths & {path for one in first for path in one.paths})
        hosts = [one.hostname for one in first]
        one_host, one_path = len(hosts) == 1, len(shared) == 1
        raise PreconditionFailed(
            f"the {'file' if one_path else 'files'} {_some(shared)} "
            f"{'is' if one_path else 'are'} in patch {first[0].order_id}, which has not been "
            f"taken by the {'host' if one_host else 'hosts'} {_some(hosts)}",
            code="patch-pending",
            subject=first[0].order_id,
            remedy=f"wait for it, or call it off: penguinctl patch cancel {first[0].order_id}",
        )


def _some(words: Sequence[str]) -> str:
    more = len(words) - _NAMED
    return ", ".join(words[:_NAMED]) + (f" and {more} more" if more > 0 else "")
