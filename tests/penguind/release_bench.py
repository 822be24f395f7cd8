"""Releases over a database with devices: published, offered, taken and judged by hand."""

from __future__ import annotations

import asyncio
import hashlib
from dataclasses import replace
from datetime import timedelta

from penguind.domain.order_making import new_order, new_targets, release_target
from penguind.domain.rollout_plan import Plan
from penguind.ledger import Ledger
from penguind.orders.endings import Endings
from penguind.orders.hub import Hub
from penguind.own_issues import OwnIssues
from penguind.releases.contents import Contents
from penguind.releases.desk import ReleaseDesk
from penguind.releases.offers import ReleaseOffers
from penguind.releases.rings import Rings
from penguind.releases.worker import ReleaseWorker
from penguind.store.blobs import BlobStore
from penguind.store.ledger import LedgerStore
from penguind.store.order_targets import OrderTargetStore
from penguind.store.orders import OrderStore
from penguind.store.release_facts import ReleaseFacts
from penguind.store.rollouts import RolloutStore
from penguindome.envelope import Envelope
from penguindome.ids import new_fleet_id, new_ulid
from penguindome.orders.bodies import PatchBody, PatchFile
from penguindome.orders.kinds import kind_of
from penguindome.orders.manifest import FileEntry
from penguindome.orders.opening import Opened
from penguindome.orders.release_body import ReleaseBody
from penguindome.payload import make_payload, read_payload
from tests.harness.judging import story_runner

FLEET = new_fleet_id()


def ids(*letters):
    """Return the ids of devices that tests call by a letter, which is their hostname, too."""
    return [f"d-{letter * 16}" for letter in letters]


def entry(path, data, mode=0o755):
    return FileEntry(path, mode, len(data), hashlib.sha256(data).hexdigest())


def release_runner(mongo_uri):
    """Return what runs a story with a bench over a fresh database."""

    def run_story(story):
        async def prepared(bench):
            await bench.prepare()
            await story(bench)

        story_runner(mongo_uri, ReleaseBench)(prepared)

    return run_story


async def fleet(bench, **labels):
    """Enroll devices by their letters, with their labels."""
    for letter, label in labels.items():
        await bench.judges.add(ids(letter)[0], hostname=letter, labels=(label,) if label else ())


class ReleaseBench:
    """The parts of releases as the server builds them; who is woken is only noted."""

    def __init__(self, judges):
        self.judges = judges
        database = judges.database
        self.blobs, self.orders = BlobStore(database), OrderStore(database)
        self.targets, self.rollouts = OrderTargetStore(database), RolloutStore(database)
        self.wanted = []
        self.woken = asyncio.Event()
        facts = ReleaseFacts(database)
        rings = Rings(judges.devices, judges.selector, facts)
        self.endings = Endings(
            orders=self.orders, targets=self.targets, devices=judges.devices, hub=Hub()
        )
        self.contents = Contents(self.blobs, self.orders, self.targets, judges.clock)
        self.desk = ReleaseDesk(
            rollouts=self.rollouts,
            contents=self.contents,
            rings=rings,
            ending=self.endings,
            wake=self.woken.set,
        )
        self.offers = ReleaseOffers(self.rollouts, self.orders, rings, facts)
        self.worker = ReleaseWorker(
            rollouts=self.rollouts,
            orders=self.orders,
            blobs=self.blobs,
            facts=facts,
            rings=rings,
            desk=self.desk,
            delivering=self,
            issues=OwnIssues(judges.issues, judges.checks, judges.pushed.append),
            ledger=Ledger(LedgerStore(database), judges.clock),
            connected=lambda: ids("a"),
            woken=self.woken,
            clock=judges.clock,
        )

    async def prepare(self):
        for store in (self.blobs, self.orders, self.targets, self.rollouts):
            await store.prepare()

    def want(self, device_ids):
        self.wanted.append(sorted(device_ids))

    async def put(self, data):
        """Store a content."""
        upload = await self.blobs.begin(hashlib.sha256(data).hexdigest(), len(data), self.now)
        await upload.add(data)
        await upload.finish(self.now)

    @property
    def now(self):
        return self.judges.now

    def opened(self, kind, body, *, number=None, devices=None, missing=0, days=100):
        """Return what an operator signed."""
        payload = make_payload(
            fleet=FLEET,
            kind=kind,
            id=new_ulid(self.now),
            issued_time=self.now,
            not_before_time=self.now,
            expires_time=self.now + timedelta(days=days),
            devices=devices,
            reason="",
            by="ann",
            body=body.to_json(),
            seq=number,
        )
        read = read_payload(payload)
        return Opened(kind_of(kind), read, body, frozenset({"F"}), missing), payload

    async def submit(self, opened, payload, plan=None):
        """Store an order as the desk of orders does."""
        envelope = Envelope(opened.kind.name, payload, (b"s",))
        order = new_order(opened, envelope, ["ann"], self.now)
        targets = new_targets(order, opened)

        async def work(session):
            await self.orders.insert(order, session=session)
            await self.targets.insert(targets, self.now, session=session)

        await self.judges.database.transaction(work, seconds=10)
        if opened.kind.name == "release":
            await self.desk.publish(order, opened, plan, self.now)
        return order

    async def publish(self, number, *rings, files=None, missing=0, days=100, **plan):
        """Check and publish a release; returns its order."""
        files = {"plugins/mood": b"#!/bin/sh\n"} if files is None else files
        for data in files.values():
            await self.put(data)
        body = ReleaseBody("spring", tuple(entry(path, data) for path, data in files.items()))
        opened, payload = self.opened("release", body, number=number, missing=missing, days=days)
        wish = Plan(rings=rings, **plan)
        await self.desk.check(opened, wish, self.now)
        return await self.submit(opened, payload, wish)

    async def patch(self, path, *letters):
        """Hand a patch in for devices."""
        names = dict(zip(ids(*letters), letters, strict=True))
        body = PatchBody(names, (PatchFile(path, entry(path, b"x"), b"x"),))
        return await self.submit(*self.opened("patch", body, devices=ids(*letters)))

    async def target(self, order, letter):
        return await self.targets.get(order.order_id, *ids(letter))

    async def due(self, **running):
        """Return the numbers of the releases that devices are to be sent, by their letters."""
        asked = {ids(letter)[0]: number for letter, number in running.items()}
        found = await self.offers.due(asked, self.now)
        return {device_id[2]: one.number for device_id, one in found.items()}

    async def take(self, order, *letters, state="succeeded", reason=""):
        """Have devices take a release and say so."""
        for letter in letters:
            sent = release_target(order, *ids(letter), letter, self.now)
            await self.targets.add([sent])
            ended = replace(sent, state=state, reason=reason, ended_time=self.now, number=3)
            if state != "sent":
                await self.targets.hear([ended], {})
        await self.desk.heard(order.order_id, ids(*letters), self.now)

    async def look(self, **passed):
        """Let time pass and look; returns state and open rings by number."""
        self.judges.passes(**passed)
        await self.worker.look(self.now)
        return {one.number: (one.state, one.open_rings) for one in await self.desk.list(10)}

    async def issues(self):
        found = await self.judges.issues.find_open()
        return sorted((one.name, one.hostname) for one in found)
