"""What releases and the other orders know of each other."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping, Sequence
    from datetime import datetime

    from penguind.domain.order import Order
    from penguind.domain.rollout_plan import Plan
    from penguindome.orders.opening import Body, Opened


class Offers(Protocol):
    """What devices should have without an order of their own."""

    async def due(self, running: Mapping[str, int], now: datetime) -> Mapping[str, Order]:
        """Return the release that each device is to be sent, by device id.

        The caller makes the target and sends it, once for each order and device. Devices that are
        to get nothing, or whose target of the release exists, may be left out.

        Args:
            running: The number of the release that each connected device said it runs; devices
                whose own settings forbid releases are left out.
            now: The time.
        """


class Releases(Protocol):
    """What becomes of releases that operators hand in."""

    async def check(self, opened: Opened, plan: Plan, now: datetime) -> None:
        """Refuse a release that cannot be published, before it is stored.

        Raises:
            PreconditionFailed: Its contents are not here, or its number is not the next.
            InvalidInput: The plan cannot be followed.
        """

    async def require(self, body: Body) -> None:
        """Refuse what needs contents that are not here; most bodies need none.

        Raises:
            PreconditionFailed: `missing-contents`.
        """

    async def publish(self, order: Order, opened: Opened, plan: Plan | None, now: datetime) -> None:
        """Take over a release that is stored, and again with each further signature.

        Repeating it changes nothing. While `order.missing` is not 0 it waits for signatures.

        Args:
            order: As it is stored.
            opened: What it says.
            plan: How it is rolled out; None after the first time.
            now: The time.
        """

    async def heard(self, order_id: str, device_ids: Collection[str], now: datetime) -> None:
        """Hear that targets of a release ended on devices; their records are stored already."""


class Delivering(Protocol):
    """What sends orders, as far as others have to wake it."""

    def want(self, device_ids: Collection[str]) -> None:
        """Have these devices looked after soon, as far as they are connected here."""


class Ending(Protocol):
    """What ends targets by the server's own decision."""

    async def supersede(self, paths: Sequence[str], number: int, now: datetime) -> int:
        """Cancel patches of these paths that were never sent: a release takes their place.

        Returns:
            How many targets ended.
        """

    async def close_orders(self, order_ids: Collection[str], now: datetime) -> None:
        """Note that releases ended: superseded or withdrawn, nobody gets them any more."""
