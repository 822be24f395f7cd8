"""Which release each device should have now."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from datetime import datetime

    from penguind.domain.order import Order
    from penguind.domain.rollout import Rollout
    from penguind.releases.rings import Rings
    from penguind.store.orders import OrderStore
    from penguind.store.release_facts import ReleaseFacts
    from penguind.store.rollouts import RolloutStore

#: Older releases than so many are offered to nobody.
_LOOKED_AT = 50


class ReleaseOffers:
    """Chooses the newest release whose ring is open for a device.

    A device is never given a lower number than it runs or was ever sent: it would refuse it. Who
    went back to a former tree waits for a newer release.
    """

    def __init__(
        self, rollouts: RolloutStore, orders: OrderStore, rings: Rings, facts: ReleaseFacts
    ) -> None:
        self._rollouts = rollouts
        self._orders = orders
        self._rings = rings
        self._facts = facts

    async def due(self, running: Mapping[str, int], now: datetime) -> Mapping[str, Order]:
        """Return the order of the release that each device is to be sent, by device id."""
        every = await self._rollouts.newest_first(_LOOKED_AT)
        offered = [one for one in every if one.offered(now)]
        newest = offered[0].number if offered else 0
        behind = {key: number for key, number in running.items() if number < newest}
        if not behind:
            return {}
        chosen = await self._choose(offered, behind)
        sent = await self._facts.newest({one.order_id: one.number for one in every}, list(chosen))
        wanted = {
            device_id: one.order_id
            for device_id, one in chosen.items()
            if device_id not in sent or sent[device_id].number < one.number
        }
        orders = await self._orders.get_many(set(wanted.values()))
        return {key: orders[order_id] for key, order_id in wanted.items() if order_id in orders}

    async def _choose(
        self, offered: Sequence[Rollout], running: Mapping[str, int]
    ) -> dict[str, Rollout]:
        """Return the newest open release of each device, if it is newer than what it runs."""
        devices = await self._rings.fleet(list(running))
        chosen: dict[str, Rollout] = {}
        for rollout in offered:
            left = [one for one in devices if one.device_id not in chosen]
            for device_id, ring in (await self._rings.divide(rollout, left)).items():
                if ring < rollout.open_rings and rollout.number > running[device_id]:
                    chosen[device_id] = rollout
        return chosen
