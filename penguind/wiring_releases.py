"""Building what publishes releases and hands their contents out."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from typing import TYPE_CHECKING

from penguind.own_issues import OwnIssues
from penguind.releases.contents import Contents
from penguind.releases.desk import ReleaseDesk
from penguind.releases.offers import ReleaseOffers
from penguind.releases.rings import Rings
from penguind.releases.worker import ReleaseWorker
from penguind.services.release import ReleaseService
from penguind.store.release_facts import ReleaseFacts

if TYPE_CHECKING:
    from penguind.orders.seams import Delivering, Ending
    from penguind.wiring_base import Base, Judging


@dataclass(frozen=True, slots=True)
class Releases:
    """The parts of releases that others need; `woken` is set when one changed."""

    desk: ReleaseDesk
    offers: ReleaseOffers
    contents: Contents
    service: ReleaseService
    rings: Rings
    facts: ReleaseFacts
    woken: asyncio.Event


def make_releases(base: Base, ending: Ending) -> Releases:
    """Build what takes releases over and chooses who gets them."""
    stores = base.stores
    facts = ReleaseFacts(base.database)
    rings = Rings(stores.devices, base.selector, facts)
    contents = Contents(stores.blobs, stores.orders, stores.order_targets, base.clock)
    woken = asyncio.Event()
    desk = ReleaseDesk(
        rollouts=stores.rollouts, contents=contents, rings=rings, ending=ending, wake=woken.set
    )
    offers = ReleaseOffers(stores.rollouts, stores.orders, rings, facts)
    service = ReleaseService(
        desk=desk,
        contents=contents,
        orders=stores.orders,
        targets=stores.order_targets,
        presence=base.presence,
        clock=base.clock,
    )
    return Releases(desk, offers, contents, service, rings, facts, woken)


def make_release_worker(
    base: Base, judging: Judging, releases: Releases, delivering: Delivering
) -> ReleaseWorker:
    """Build what keeps rollouts going; its `run` has to run."""
    stores = base.stores
    return ReleaseWorker(
        rollouts=stores.rollouts,
        orders=stores.orders,
        blobs=stores.blobs,
        facts=releases.facts,
        rings=releases.rings,
        desk=releases.desk,
        delivering=delivering,
        issues=OwnIssues(stores.issues, judging.checks, judging.push),
        ledger=base.ledger,
        connected=base.presence.connected_ids,
        woken=releases.woken,
        clock=base.clock,
    )
