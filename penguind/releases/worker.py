"""Watch how releases fare: open rings, halt, complete, and say what is wrong."""

from __future__ import annotations

import asyncio
import time
from datetime import timedelta
from typing import TYPE_CHECKING, NoReturn

from penguind.domain.rollout import OFFERED, STANDING
from penguind.releases import findings
from penguind.workers import heed_cancellation, keep_on
from penguindome.logs import logger

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Sequence
    from datetime import datetime

    from penguind.domain.device import Device
    from penguind.domain.rollout import Rollout
    from penguind.ledger import Ledger
    from penguind.orders.seams import Delivering
    from penguind.own_issues import OwnIssues
    from penguind.releases.desk import ReleaseDesk
    from penguind.releases.rings import Rings, Standing
    from penguind.store.blobs import BlobStore
    from penguind.store.orders import OrderStore
    from penguind.store.release_facts import ReleaseFacts
    from penguind.store.rollouts import RolloutStore

    Seen = list[tuple[Rollout, Standing]]

log = logger("penguind.releases")

_PAUSE_SECONDS = 1.0
# A look at a large fleet takes a while; so much longer the next one waits.
_REST = 5
_EVERY = timedelta(minutes=1)
_UPLOADS_END_AFTER = timedelta(hours=1)
#: Devices are asked about so many releases back.
_REMEMBERED = 10


class ReleaseWorker:
    """Keeps rollouts going; its `run` has to run.

    Rollouts are looked at within a second after something changed here, and once a minute.

    Args:
        rollouts: How far each release got.
        orders: What carries them.
        blobs: Where broken uploads are swept.
        facts: What became of releases on devices.
        rings: Who is in which ring.
        desk: Changes rollouts.
        delivering: Sends what devices may have now.
        issues: Opens and closes issues.
        ledger: Where halts and openings by the server itself are written.
        connected: Returns the ids of connected devices.
        woken: Is set when something changed.
        clock: The time.
    """

    def __init__(
        self,
        *,
        rollouts: RolloutStore,
        orders: OrderStore,
        blobs: BlobStore,
        facts: ReleaseFacts,
        rings: Rings,
        desk: ReleaseDesk,
        delivering: Delivering,
        issues: OwnIssues,
        ledger: Ledger,
        connected: Callable[[], Collection[str]],
        woken: asyncio.Event,
        clock: Callable[[], datetime],
    ) -> None:
        self._rollouts = rollouts
        self._orders = orders
        self._blobs = blobs
        self._facts = facts
        self._rings = rings
        self._desk = desk
        self._delivering = delivering
        self._issues = issues
        self._ledger = ledger
        self._connected = connected
        self._woken = woken
        self._clock = clock
        self._looked_time: datetime | None = None
        self._open: frozenset[tuple[int, int]] = frozenset()

    async def run(self) -> NoReturn:
        """Work until cancelled."""
        await keep_on("releases", self._turn)

    async def look(self, now: datetime) -> None:
        """Look at all releases now.

        Raises:
            Unavailable: the database is away.
        """
        for waiting in await self._rollouts.in_states(["waiting"]):
            order = await self._orders.get(waiting.order_id)
            if order is not None:
                await self._desk.go_on(waiting, order, now)
        devices = await self._rings.fleet()
        live = await self._rollouts.in_states(OFFERED)
        seen = [(one, await self._rings.standing(one, devices)) for one in live]
        for rollout, standing in seen:
            await self._judge(rollout, standing, now)
        await self._report(devices, seen, now)

    async def _judge(self, rollout: Rollout, standing: Standing, now: datetime) -> None:
        new = rollout.judged(standing.judged, now)
        if new == rollout or not await self._rollouts.replace(rollout, new):
            return
        if new.state != rollout.state or new.open_rings != rollout.open_rings:
            log.info(
                "Release {} is {}, rings open: {} {}",
                new.number,
                new.state,
                new.open_rings,
                new.reason,
            )
            await self._ledger.append(
                "server",
                "release.rollout",
                str(new.number),
                {"state": new.state, "open_rings": new.open_rings, "reason": new.reason},
            )
        if new.state == "complete" and rollout.state != "complete":
            older = await self._rollouts.in_states(STANDING)
            await self._desk.supersede([o for o in older if o.number < new.number], new, now)

    async def _report(self, devices: Sequence[Device], seen: Seen, now: datetime) -> None:
        """Have exactly the issues open that there are."""
        reconcile = self._issues.reconcile
        standing = await self._rollouts.in_states(STANDING)
        await reconcile(
            findings.HALTED, findings.halted(standing), now, gone="it is halted no more"
        )
        await reconcile(
            findings.ENDING, findings.ending(standing, now), now, gone="a newer release is there"
        )
        lately = await self._rollouts.newest_first(_REMEMBERED)
        taken = await self._facts.newest({one.order_id: one.number for one in lately})
        failed = findings.failed(taken, devices)
        await reconcile(findings.FAILED_HERE, failed, now, gone="the device took a release")
        offered = [(one, how) for one, how in seen if one.offered(now)]
        late = findings.outdated(offered, devices, now)
        await reconcile(findings.OUTDATED, late, now, gone="the device took the release")

    async def _turn(self) -> None:
        now, begun = self._clock(), time.monotonic()
        live = await self._rollouts.in_states(OFFERED)
        if self._woken.is_set() or self._is_time(live, now):
            self._woken.clear()
            await self.look(now)
            await self._blobs.sweep(now - _UPLOADS_END_AFTER)
            self._looked_time = now
            live = await self._rollouts.in_states(OFFERED)
        # Another process may have opened a ring, too.
        now_open = frozenset((one.number, one.open_rings) for one in live)
        if now_open - self._open:
            self._delivering.want(self._connected())
        self._open = now_open
        heed_cancellation()
        await asyncio.sleep(max(_PAUSE_SECONDS, _REST * (time.monotonic() - begun)))

    def _is_time(self, live: Sequence[Rollout], now: datetime) -> bool:
        """Tell whether a minute passed, or a ring was good for long enough."""
        looked = self._looked_time
        if looked is None or not looked <= now < looked + _EVERY:
            return True
        return any(one.soaked(now) for one in live)
