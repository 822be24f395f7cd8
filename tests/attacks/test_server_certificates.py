"""The server's certificate files are replaced under load, on each listener, by good and bad."""

from __future__ import annotations

import asyncio
import ssl
from contextlib import asynccontextmanager
from datetime import timedelta

import pytest
from grpc_health.v1 import health_pb2, health_pb2_grpc

from penguind import ports
from penguind.ports import Change
from penguindome import certs
from penguindome.v1 import agent_pb2, server_pb2, server_pb2_grpc
from penguindome.v1 import bootstrap_pb2 as boot
from penguindome.v1.bootstrap_pb2_grpc import BootstrapServiceStub
from tests.harness.ports import free_port
from tests.harness.serving import running

pytestmark = pytest.mark.timeout(120)
LISTENERS = ("main", "bootstrap", "new", "new-boot")


def own_pair(path, clock):
    """Give the server a second pair, which shows a certificate of its own."""
    certificate = {"generate": True}
    for name, kind in (("new", "main"), ("new-boot", "bootstrap")):
        change = Change(port=free_port(), **certificate)
        ports.add(path, name, kind, change, clock)
        tls = path.parent / "state/tls"
        certificate = {"certificate": tls / "new.pem", "key": tls / "new-key.pem"}


def told(story, uri):
    async def bounded():
        async with asyncio.timeout(90), running(uri, prepare=own_pair) as server:
            await story(server)

    asyncio.run(bounded())


def files(server, listener):
    one = next(one for one in server.settings.listeners if one.name == listener)
    return one.certificate, one.key


def issued(server, *, days=90, names=("127.0.0.1",)):
    """Return a certificate by the fleet's anchor and its key."""
    key, folder = certs.generate_key(), server.settings.server.state_dir / "authority"
    pem = certs.issue(
        authority_pem=server.anchor,
        authority_key_pem=(folder / "anchor-key.pem").read_bytes(),
        spki=certs.key_spki(key),
        ip_addresses=names,
        client=False,
        not_before=server.clock() - timedelta(days=40),
        not_after=server.clock() + timedelta(days=days),
    )
    return pem, key


def replace(server, listener, pem, key):
    """Replace both files as the manual says: the key first, each by a rename, modes kept."""
    for path, data in zip(reversed(files(server, listener)), (key, pem), strict=True):
        new = path.with_suffix(".new")
        new.write_bytes(data)
        new.chmod(0o600)
        new.replace(path)


async def shown(server, listener):
    """Return the serial that a new connection to a bootstrap listener is shown."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.load_verify_locations(cadata=server.anchor.decode())
    context.set_alpn_protocols(["h2"])
    one = next(one for one in server.settings.listeners if one.name == listener)
    _, writer = await asyncio.open_connection(one.address, one.port, ssl=context)
    der = writer.get_extra_info("ssl_object").getpeercert(binary_form=True)
    writer.close()
    return certs.parse_certificate(der).serial


class Load:
    """Calls all listeners without a pause, over open channels and over fresh ones."""

    def __init__(self, server, device):
        self.server, self.device = server, device
        self.done = dict.fromkeys(LISTENERS, 0)

    async def call(self, listener, channel):
        if "boot" in listener:
            await BootstrapServiceStub(channel).Begin(boot.BeginRequest(), timeout=10)
        else:
            stub = health_pb2_grpc.HealthStub(channel)
            await stub.Check(health_pb2.HealthCheckRequest(), timeout=10)
        self.done[listener] += 1

    async def run(self, listener):
        """Call until cancelled; a call that fails ends the story."""
        who = None if "boot" in listener else self.device
        kept = self.server.channel(who, listener=listener)
        while True:
            await self.call(listener, kept)
            fresh = self.server.channel(who, listener=listener)
            await self.call(listener, fresh)
            await fresh.close()

    async def more(self, calls=10):
        """Wait until every listener answered so many further calls."""
        goal = {name: count + calls for name, count in self.done.items()}
        while any(self.done[name] < goal[name] for name in LISTENERS):  # noqa: ASYNC110 -- short
            await asyncio.sleep(0.02)


@asynccontextmanager
async def load(server):
    device, _ = await server.enroll()
    made = Load(server, device)
    async with asyncio.TaskGroup() as tasks:
        running_tasks = [tasks.create_task(made.run(name)) for name in LISTENERS]
        yield made
        for task in running_tasks:
            task.cancel()


async def problems(server, alice):
    stub = server_pb2_grpc.ServerServiceStub(server.channel(alice))
    return (await stub.GetServerStatus(server_pb2.GetServerStatusRequest())).problems


@pytest.mark.parametrize(
    ("listener", "other"), [("bootstrap", "new-boot"), ("new-boot", "bootstrap")]
)
def test_good_certificate_under_load(mongo_uri, listener, other):
    async def story(server):
        alice = await server.operator()
        async with load(server) as calls:
            await calls.more()
            untouched = await shown(server, other)
            for _ in range(3):
                pem, key = issued(server)
                replace(server, listener, pem, key)
                assert await shown(server, listener) == certs.parse_certificate(pem).serial
                await calls.more()
            assert await shown(server, other) == untouched
        assert await problems(server, alice) == []

    told(story, mongo_uri)


def bad_pair(server, fault):
    pem, key = issued(server)
    if fault == "garbage":
        return b"-----BEGIN CERTIFICATE-----\nx\n", key
    if fault == "mismatched":
        return pem, certs.generate_key()
    if fault == "expired":
        return issued(server, days=-1)
    return issued(server, names=("127.0.0.9",))


@pytest.mark.parametrize("fault", ["garbage", "mismatched", "expired", "other-name"])
@pytest.mark.parametrize("listener", ["bootstrap", "new-boot"])
def test_bad_certificate_under_load(mongo_uri, listener, fault):
    async def story(server):
        alice = await server.operator()
        good = tuple(path.read_bytes() for path in files(server, listener))
        before = await shown(server, listener)
        async with load(server) as calls:
            replace(server, listener, *bad_pair(server, fault))
            assert await shown(server, listener) == before
            await calls.more()
            (sentence,) = await problems(server, alice)
            together = "main and bootstrap" if listener == "bootstrap" else "new and new-boot"
            assert sentence.startswith(f"A new certificate of the listeners {together} is not used")
            # The control: good files are taken again, and the problem is over.
            replace(server, listener, *good)
            assert await shown(server, listener) == before
            pem, key = issued(server)
            replace(server, listener, pem, key)
            assert await shown(server, listener) == certs.parse_certificate(pem).serial
            await calls.more()
        assert await problems(server, alice) == []

    told(story, mongo_uri)


def test_open_stream_outlives_every_replacement(mongo_uri):
    async def story(server):
        device, _ = await server.enroll()
        stream = server.agent(device).CheckIn(agent_pb2.CheckInRequest(hostname="x"))
        assert (await stream.read()).HasField("welcome")
        for _ in range(3):
            replace(server, "main", *issued(server))
            await shown(server, "bootstrap")
        assert server.application.presence.connected(device.name)
        stream.cancel()

    told(story, mongo_uri)
