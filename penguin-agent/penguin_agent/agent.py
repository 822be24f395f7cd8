"""Put the agent together: one place that builds everything, and says how it is doing."""

from __future__ import annotations

import asyncio
import random
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from logbook import Logger

from penguin_agent.backoff import Backoff
from penguin_agent.boot_id import boot_id
from penguin_agent.builtin import NAME
from penguin_agent.collect.making import make_collector
from penguin_agent.collect.schedule import Schedule
from penguin_agent.collecting import Collecting
from penguin_agent.connection import (
    CollectWanted,
    Hello,
    OrderPushed,
    Push,
    SettingsChanged,
    TrustMoved,
    VerdictsMoved,
    Welcomed,
)
from penguin_agent.link import Link
from penguin_agent.orders.registry import agent_orders, denied_kinds
from penguin_agent.ratchet import Ratchet
from penguin_agent.release.making import make_parts, make_releases
from penguin_agent.shell.making import make_shells
from penguin_agent.spool import Spool
from penguin_agent.spool_folder import SpoolFolder
from penguin_agent.status import (
    clock_words,
    moment,
    output_words,
    seconds,
    trust_words,
)
from penguin_agent.submitter import Submitter
from penguin_agent.trust_update import update_trust
from penguin_agent.tuning import Tuning
from penguindome.errors import PenguinDomeError
from penguindome.ids import new_ulid

if TYPE_CHECKING:
    from penguin_agent.base import Base
    from penguin_agent.failpoints import Failpoint
    from penguin_agent.identity import Identity

log = Logger(__name__)


class Agent:
    """The parts of a running, enrolled agent."""

    def __init__(
        self, base: Base, identity: Identity, group: asyncio.TaskGroup, failpoint: Failpoint
    ) -> None:
        self.base = base
        self.identity = identity
        self._failpoint = failpoint
        settings = base.settings
        state_dir = settings.paths.state_dir
        self.boot_id = boot_id()
        self._ratchet = Ratchet(state_dir / "state" / "ratchet")
        self.spool = self._make_spool()
        self.link = self._make_link(group)
        self.submitter = self._make_submitter()
        self.schedule = Schedule(
            interval=settings.schedule.collect_interval,
            plugin_intervals=settings.schedule.plugin_intervals,
            random=random.random,
        )
        self.releases = make_releases(
            settings.paths, identity.device, base.trust, failpoint=failpoint
        )
        self.collector = make_collector(settings, base.clock.now, signed=self.releases.signed)
        self.collecting = self._make_collecting()
        self.release = make_parts(
            self.releases,
            link=self.link,
            collector=self.collector,
            collecting=self.collecting,
            spool=self.spool,
        )
        self.shells = make_shells(self)
        self.orders = agent_orders(self, group, failpoint)
        self.tuning = Tuning(settings, self.schedule, self.submitter, self.releases)
        if (document := base.trust.newest()) is not None:
            base.clock.signed(document.issued_time)

    def _make_spool(self) -> Spool:
        base = self.base
        return Spool(
            SpoolFolder(base.settings.paths.state_dir),
            base.dead_letters,
            new_id=lambda: new_ulid(base.clock.now()),
            failpoint=self._failpoint,
        )

    def _make_link(self, group: asyncio.TaskGroup) -> Link:
        base = self.base
        return Link(
            identities=base.identities,
            trust=base.trust,
            clock=base.clock,
            hello=self._hello,
            handle=self.handle,
            backoff=Backoff(random.uniform),
            group=group,
        )

    def _make_submitter(self) -> Submitter:
        return Submitter(
            self.spool,
            self.link,
            interval=self.base.settings.schedule.submit_interval,
            backoff=Backoff(random.uniform),
            now=self.base.clock.now,
        )

    def _make_collecting(self) -> Collecting:
        return Collecting(
            collector=self.collector,
            schedule=self.schedule,
            spool=self.spool,
            submitter=self.submitter,
            dead_letters=self.base.dead_letters,
            clock=self.base.clock,
            boot_id=self.boot_id,
            version=self.base.version,
            checked=lambda: self.releases.checked,
            denied=denied_kinds(self.base.settings.allow),
            refused_orders=lambda: self.orders.engine.refused,
        )

    async def start(self) -> None:
        """Look at the tree of signed files; before anything of it runs."""
        loop = asyncio.get_running_loop()
        await asyncio.to_thread(self.releases.start)
        self._moved()
        self.releases.on_change(lambda: loop.call_soon_threadsafe(self._moved))

    def _moved(self) -> None:
        """Go by another tree of signed files."""
        self.tuning.renew()
        self.collecting.wake()

    def woke(self) -> None:
        """Go on after the machine slept: the connection is most likely dead, and much is due."""
        self.link.reconnect()
        self.link.wake()
        self.collecting.wake()

    async def handle(self, push: Push) -> None:
        """Act on what the server pushed, within this device's own bounds."""
        allow = self.base.settings.allow
        if isinstance(push, Welcomed):
            await self._welcomed(push)
        elif isinstance(push, OrderPushed):
            self.orders.engine.put(push.envelope)
        elif isinstance(push, CollectWanted):
            if allow.collect_now:
                self.collecting.ask(push)
        elif isinstance(push, SettingsChanged):
            self.tuning.wish(push.wishes)
        elif isinstance(push, TrustMoved):
            await self._fetch_trust(push.version)
        elif isinstance(push, VerdictsMoved):
            await self.fetch_verdicts()

    async def fetch_verdicts(self) -> None:
        """Fetch the verdicts about this device and keep them."""
        connection = self.link.connection
        if connection is None:
            return
        try:
            verdicts, audited = await connection.verdicts()
        except PenguinDomeError as error:
            log.warning("Verdicts cannot be fetched: {}", error)
            return
        self.base.verdicts.keep(verdicts, audited, self.base.clock.now())

    def status(self) -> dict[str, Any]:
        """Return the agent's state, for `penguin-agent status`."""
        states = self.collector.plugin_states()
        return {
            "version": self.base.version,
            "running": True,
            **self.base.enrollment_words(),
            "connected": self.link.connected.is_set(),
            "trouble": self.link.trouble or self.submitter.trouble,
            "last_accepted_time": moment(self.submitter.accepted_time),
            "spool_depth": self.spool.depth,
            "spool_bytes": self.spool.size_bytes,
            "dead_letters": self.base.dead_letters.count(),
            "refused": self.base.dead_letters.listed(),
            "allow": asdict(self.base.settings.allow),
            "benched": [state.name for state in states if state.benched],
            "failing": [s.name for s in states if s.status in ("error", "timeout")],
            "release": self.releases.words(),
            "trust": trust_words(self.base.trust.newest(), self.base.clock.now()),
            "problems": [list(each) for each in self.collector.discover().problems],
            "outputs": output_words(self.spool.current.outputs),
            "collect_interval_seconds": seconds(self.schedule.interval(NAME)),
            "clock": clock_words(self.base.clock),
        }

    async def _welcomed(self, welcome: Welcomed) -> None:
        await self._keep(welcome.ratchet)
        self.tuning.wish(welcome.wishes)
        self.submitter.wait(welcome.submit_after)
        document = self.base.trust.newest()
        if document is None or welcome.trust_version > document.version:
            await self._fetch_trust(welcome.trust_version)
        await self.fetch_verdicts()
        self.release.health.welcomed()

    async def _keep(self, ratchet: bytes) -> None:
        """Keep what proves at the next check-in that we were here, then say that we do."""
        self._failpoint("ratchet.received")
        kept = self._ratchet.write(ratchet)
        self._failpoint("ratchet.written")
        connection = self.link.connection
        if not kept or connection is None:
            return
        try:
            await connection.confirm(ratchet)
        except PenguinDomeError as error:
            # The server takes the next check-in for a confirmation.
            log.info("The check-in is not confirmed: {}", error)
        self._failpoint("ratchet.confirmed")

    async def _fetch_trust(self, version: int) -> None:
        try:
            document = await update_trust(
                self.base.trust, self.identity.device, self.base.clock.now()
            )
        except PenguinDomeError as error:
            log.warning("Trust document {} is not taken: {}", version, error)
            return
        if document is not None:
            self.base.clock.signed(document.issued_time)

    def _hello(self) -> Hello:
        document = self.base.trust.newest()
        return Hello(
            boot_id=self.boot_id,
            agent_version=self.base.version,
            hostname=self.base.hostname(),
            trust_version=document.version if document else 0,
            device_time=self.base.clock.now(),
            spool_depth=self.spool.depth,
            ratchet=self._ratchet.read(),
            release=self.release.health.greeting(),
            denied=denied_kinds(self.base.settings.allow),
        )
