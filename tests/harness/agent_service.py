"""The agents' service behind the real gate, without TLS: who calls is taken from the metadata."""

from __future__ import annotations

import asyncio
import os
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

os.environ.setdefault("GRPC_ENABLE_FORK_SUPPORT", "0")

import grpc.aio

from penguind.admission import Admission
from penguind.caller import Caller
from penguind.checkin import CheckIns
from penguind.gate import Gate
from penguind.identity.identities import Identities
from penguind.ingest import Ingest
from penguind.orders.delivery import Delivery
from penguind.orders.hub import Hub
from penguind.presence import AgentSettings, Presence
from penguind.rates import RateLimits, ReportRates
from penguind.services.agent import AgentService
from penguind.store.order_targets import OrderTargetStore
from penguind.store.orders import OrderStore
from penguind.store.states import StateStore
from penguind.store.trail import TrailStore
from penguind.verdicts import DeviceVerdicts
from penguindome.channels import server_options
from penguindome.v1.agent_pb2_grpc import AgentServiceStub, add_AgentServiceServicer_to_server
from tests.harness.database import fresh_database
from tests.harness.reporter import NOW

SETTINGS = AgentSettings(3, 300, 60, {"disk": 3600})


@dataclass
class Seen:
    """Stands for the devices' store."""

    facts: dict = field(default_factory=dict)
    noted: list = field(default_factory=list)
    failures: list = field(default_factory=list)

    async def seen(self, device_id, now, **facts):
        self.facts[device_id] = {"now": now, **facts}

    async def seen_many(self, device_ids, now):
        if self.failures:
            raise self.failures.pop()
        self.noted.append(list(device_ids))


class FreeTurns:
    """Stands for the ratchets: whoever comes is the right one."""

    def __init__(self):
        self.confirmed = []

    async def check_in(self, device_id, presented, address):
        return f"{device_id} after {presented.hex()}".encode()

    async def confirm(self, device_id, value):
        self.confirmed.append((device_id, value))


class NoVerdicts:
    async def of_device(self, device_id, now):
        return DeviceVerdicts((), now)


class Server:
    """The service behind the real gate; who calls is taken from the metadata."""

    def __init__(self, database, *, heartbeat_seconds=30.0, limits=None):
        clock = lambda: NOW  # noqa: E731
        self.states, trail = StateStore(database), TrailStore(database)
        self.ingest = Ingest(database, self.states, trail, on_changed=lambda _: None)
        self.presence = Presence()
        self.seen = Seen()
        self.turns = FreeTurns()
        self.identities = Identities(None, None, clock)
        self.looked_up = []
        self.check_ins = CheckIns(
            presence=self.presence,
            admission=Admission(),
            states=self.states,
            devices=self.seen,
            ratchets=self.turns,
            hostname=self._hostname,
            settings=lambda: SETTINGS,
            trust_version=self._trust_version,
            clock=clock,
            note_seconds=0.02,
        )
        self.service = AgentService(
            check_ins=self.check_ins,
            ingest=self.ingest,
            rates=ReportRates(limits or RateLimits()),
            verdicts=NoVerdicts(),
            delivery=Delivery(
                presence=self.presence,
                orders=OrderStore(database),
                targets=OrderTargetStore(database),
                hub=Hub(),
                offers=None,
                clock=clock,
            ),
            updates=None,
            contents=None,
            clock=clock,
            heartbeat_seconds=heartbeat_seconds,
        )

    async def _hostname(self, device_id):
        self.looked_up.append(device_id)
        return "from-the-database"

    async def _trust_version(self):
        return 7

    async def authenticate(self, context):
        name = dict(context.invocation_metadata())["device"]
        return Caller("device", name, frozenset(), context.peer())


@asynccontextmanager
async def serving(uri, **options):
    async with fresh_database(uri) as database:
        server = Server(database, **options)
        gate = Gate(
            "main",
            server.authenticate,
            identities=server.identities,
            ledger=None,
        )
        listener = grpc.aio.server(interceptors=[gate], options=server_options())
        add_AgentServiceServicer_to_server(server.service, listener)
        port = listener.add_insecure_port("127.0.0.1:0")
        tasks = [asyncio.create_task(part.run()) for part in (server.check_ins, server.ingest)]
        await listener.start()
        try:
            async with grpc.aio.insecure_channel(f"127.0.0.1:{port}") as channel:
                yield server, AgentServiceStub(channel)
        finally:
            await listener.stop(1)
            for task in tasks:
                task.cancel()
            await asyncio.wait(tasks)
