"""Building what takes orders in, hands them out and hears what became of them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from penguind.orders.delivery import Delivery
from penguind.orders.desk import OrderDesk
from penguind.orders.endings import Endings
from penguind.orders.hub import Hub
from penguind.orders.intake import OrderIntake
from penguind.orders.looking import OrderLooking
from penguind.orders.updates import RATES, Updates
from penguind.orders.upkeep import OrderUpkeep
from penguind.orders.watching import Watching
from penguind.own_issues import OwnIssues
from penguind.rates import ReportRates
from penguind.services.order import OrderService

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine, Mapping

    from penguind.orders.seams import Offers, Releases
    from penguind.wiring_base import Base, Judging


@dataclass(frozen=True, slots=True)
class Sending:
    """What others need before there are releases: where orders end, and who watches them."""

    hub: Hub
    endings: Endings


@dataclass(frozen=True, slots=True)
class Ordering:
    """Orders on their way; `workers` have to run, by name."""

    delivery: Delivery
    endings: Endings
    updates: Updates
    upkeep: OrderUpkeep
    service: OrderService
    workers: Mapping[str, Callable[[], Coroutine[object, object, None]]]


def make_sending(base: Base) -> Sending:
    """Build what ends orders."""
    stores = base.stores
    hub = Hub()
    endings = Endings(
        orders=stores.orders, targets=stores.order_targets, devices=stores.devices, hub=hub
    )
    return Sending(hub, endings)


def make_looking(base: Base) -> OrderLooking:
    """Build what finds orders; it keeps nothing, so whoever looks has one of their own."""
    stores = base.stores
    return OrderLooking(
        orders=stores.orders,
        targets=stores.order_targets,
        output=stores.order_output,
        devices=stores.devices,
    )


def make_ordering(
    base: Base, judging: Judging, sending: Sending, offers: Offers, releases: Releases
) -> Ordering:
    """Build everything else of orders."""
    stores = base.stores
    delivery = Delivery(
        presence=base.presence,
        orders=stores.orders,
        targets=stores.order_targets,
        hub=sending.hub,
        offers=offers,
        clock=base.clock,
    )
    upkeep = OrderUpkeep(
        orders=stores.orders,
        targets=stores.order_targets,
        devices=stores.devices,
        endings=sending.endings,
        delivery=delivery,
        releases=releases,
        issues=OwnIssues(stores.issues, judging.checks, judging.push),
        clock=base.clock,
    )
    return Ordering(
        delivery=delivery,
        endings=sending.endings,
        updates=_updates(base, sending.hub, delivery, upkeep),
        upkeep=upkeep,
        service=_service(base, sending, delivery, upkeep, releases),
        workers={
            "orders": delivery.run,
            "queued orders": delivery.look,
            "order upkeep": upkeep.run,
        },
    )


def _updates(base: Base, hub: Hub, delivery: Delivery, upkeep: OrderUpkeep) -> Updates:
    stores = base.stores
    return Updates(
        fleet=base.settings.server.fleet_id,
        identities=base.identities,
        rates=ReportRates(RATES),
        orders=stores.orders,
        targets=stores.order_targets,
        output=stores.order_output,
        ledger=base.ledger,
        hub=hub,
        delivery=delivery,
        upkeep=upkeep,
        clock=base.clock,
    )


def _service(
    base: Base, sending: Sending, delivery: Delivery, upkeep: OrderUpkeep, releases: Releases
) -> OrderService:
    stores = base.stores
    intake = OrderIntake(
        database=base.database,
        orders=stores.orders,
        targets=stores.order_targets,
        devices=stores.devices,
    )
    desk = OrderDesk(
        intake=intake,
        orders=stores.orders,
        trust=base.trust,
        endings=sending.endings,
        upkeep=upkeep,
        delivery=delivery,
        releases=releases,
        clock=base.clock,
    )
    watching = Watching(
        orders=stores.orders,
        targets=stores.order_targets,
        output=stores.order_output,
        hub=sending.hub,
    )
    return OrderService(
        desk=desk, looking=make_looking(base), watching=watching, presence=base.presence
    )
