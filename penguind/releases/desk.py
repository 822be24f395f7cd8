"""Publish releases, and change how far they go."""

from __future__ import annotations

from typing import TYPE_CHECKING

from penguind.domain.reason import checked_reason
from penguind.domain.rollout import STANDING, Rollout, changed
from penguind.domain.rollout_plan import checked_plan
from penguindome.errors import InvalidInput, NotFound, PreconditionFailed, Unavailable
from penguindome.logs import logger
from penguindome.orders.release_body import ReleaseBody, release_body
from penguindome.payload import read_payload

if TYPE_CHECKING:
    from collections.abc import Callable, Collection
    from datetime import datetime

    from penguind.domain.order import Order
    from penguind.domain.rollout_plan import Plan
    from penguind.orders.seams import Ending
    from penguind.releases.contents import Contents
    from penguind.releases.rings import Rings, Standing
    from penguind.store.rollouts import RolloutStore
    from penguindome.orders.opening import Body, Opened

log = logger("penguind.releases")

_ATTEMPTS = 5
# Unix seconds fit. Whoever hands in the highest number that there is would else block all later
# releases for good, with a single signature.
_LEAP = 10**10


class ReleaseDesk:
    """Takes releases over from orders, and what operators want of them.

    Args:
        rollouts: How far each release got.
        contents: What releases need.
        rings: Who is in which ring.
        ending: Ends patches and orders that a release takes the place of.
        wake: Is called when something changed.
    """

    def __init__(
        self,
        *,
        rollouts: RolloutStore,
        contents: Contents,
        rings: Rings,
        ending: Ending,
        wake: Callable[[], object],
    ) -> None:
        self._rollouts = rollouts
        self._contents = contents
        self._rings = rings
        self._ending = ending
        self._wake = wake

    async def check(self, opened: Opened, plan: Plan, now: datetime) -> None:
        """Refuse a release that cannot be published.

        Raises:
            InvalidInput: The plan cannot be followed, or the number is not higher than all others.
            PreconditionFailed: Contents are not here.
        """
        del now
        await self._rings.check(checked_plan(plan))
        number = opened.payload.seq or 0
        highest = await self._rollouts.highest()
        if number <= highest:
            raise used_number(number, highest)
        if number > highest + _LEAP:
            raise InvalidInput(
                f"a release's number is at most {_LEAP:,} higher than the one before",
                code="far-number",
                subject=f"release {number}",
                remedy=f"the newest so far is {highest}",
            )
        await self._contents.require(opened.body)

    async def require(self, body: Body) -> None:
        """Refuse what needs contents that are not here.

        Raises:
            PreconditionFailed: `missing-contents`.
        """
        await self._contents.require(body)

    async def publish(self, order: Order, opened: Opened, plan: Plan | None, now: datetime) -> None:
        """Begin to roll a release out, once enough operators signed it; repeating is harmless.

        Raises:
            InvalidInput: Another release took the number meanwhile.
        """
        rollout = await self._rollouts.get(order.number)
        if rollout is None and plan is not None:
            rollout = await self._insert(order, checked_plan(plan))
        if rollout is None or rollout.order_id != order.order_id:
            raise used_number(order.number, await self._rollouts.highest())
        if rollout.state == "waiting" and not order.missing:
            await self._begin(rollout, opened.body, now)

    async def heard(self, order_id: str, device_ids: Collection[str], now: datetime) -> None:
        """Hear that targets of a release ended on devices."""
        del order_id, device_ids, now
        self._wake()

    async def go_on(self, rollout: Rollout, order: Order, now: datetime) -> None:
        """Do what was left undone of a release that waits: its order changed without us."""
        if order.withdrawn_reason:
            await self._rollouts.replace(rollout, rollout.withdrawn(order.withdrawn_reason))
        elif not order.missing:
            body = release_body(read_payload(order.envelope.payload).body)
            await self._begin(rollout, body, now)

    async def list(self, limit: int) -> list[Rollout]:
        """Return the newest releases."""
        return await self._rollouts.newest_first(limit)

    async def get(self, number: int) -> Rollout:
        """Return one release; 0 means the newest that is not withdrawn.

        Raises:
            NotFound: There is none.
        """
        if number:
            found = await self._rollouts.get(number)
        else:
            standing = await self._rollouts.in_states([*STANDING, "superseded"])
            found = standing[0] if standing else None
        if found is None:
            raise NotFound(
                "there is no such release",
                code="no-release",
                subject=str(number) if number else "",
                remedy="penguinctl release list shows those there are",
            )
        return found

    async def standings(self, rollouts: Collection[Rollout]) -> dict[int, Standing]:
        """Return how releases stand, by number."""
        devices = await self._rings.fleet()
        return {one.number: await self._rings.standing(one, devices) for one in rollouts}

    async def change(self, number: int, action: str, *, reason: str, now: datetime) -> Rollout:
        """Open the next ring, halt, resume or withdraw a release.

        Raises:
            InvalidInput: There is no such action, or the reason is too long.
            NotFound: There is no such release.
            PreconditionFailed: It does not fit the release's state.
        """
        why = checked_reason(reason)
        for _ in range(_ATTEMPTS):
            former = await self.get(number)
            failed = (await self.standings([former]))[former.number].failed
            new = changed(former, action, reason=why, excused=failed, now=now)
            if await self._rollouts.replace(former, new):
                await self._after(new, action, now)
                return new
        raise Unavailable("the release changes all the time", retry_after_seconds=1)

    async def _after(self, rollout: Rollout, action: str, now: datetime) -> None:
        log.info("Release {}: {}", rollout.number, action)
        if rollout.state == "withdrawn":
            await self._ending.close_orders([rollout.order_id], now)
        self._wake()

    async def _insert(self, order: Order, plan: Plan) -> Rollout | None:
        rollout = Rollout(
            number=order.number,
            order_id=order.order_id,
            label=order.name,
            state="waiting",
            submitted_time=order.submitted_time,
            expires_time=order.expires_time,
            plan=plan,
        )
        if await self._rollouts.insert(rollout):
            return rollout
        return await self._rollouts.get(order.number)

    async def _begin(self, rollout: Rollout, body: object, now: datetime) -> None:
        """Open the first ring and take the place of older releases and of patches.

        The rollout is opened last: what is left undone by a death is done again.
        """
        if not isinstance(body, ReleaseBody):
            raise PreconditionFailed("this order is no release", code="no-release")
        older = await self._rollouts.in_states(["waiting", "rolling", "halted"])
        await self.supersede([one for one in older if one.number < rollout.number], rollout, now)
        await self._ending.supersede([one.path for one in body.files], rollout.number, now)
        if await self._rollouts.replace(rollout, rollout.published(now)):
            log.info("Release {} is published", rollout.number)
        self._wake()

    async def supersede(self, older: Collection[Rollout], newer: Rollout, now: datetime) -> None:
        """Give older releases to nobody any more: a newer one took their place."""
        gone = [
            one.order_id
            for one in older
            if await self._rollouts.replace(one, one.superseded(newer.number))
        ]
        if gone:
            await self._ending.close_orders(gone, now)


def used_number(number: int, highest: int) -> InvalidInput:
    """Return why a number cannot be a new release's."""
    return InvalidInput(
        f"release {number} does not come after release {highest}, the newest so far",
        code="used-number",
        subject=f"release {number}",
        remedy=f"sign it again with the number {highest + 1}",
    )
