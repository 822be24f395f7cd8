"""Several listeners of each kind: real servers on loopback, IPv4 and IPv6."""

from __future__ import annotations

import asyncio
import errno
import socket
from pathlib import Path

import pytest

from penguind import ports
from penguind.config_listeners import ListenerSettings
from penguind.listeners import check_port
from penguind.ports import Change
from penguindome import certs, possession
from penguindome.errors import InvalidInput, PreconditionFailed
from penguindome.v1 import agent_pb2, agent_pb2_grpc, bootstrap_pb2, server_pb2, server_pb2_grpc
from penguindome.v1.bootstrap_pb2_grpc import BootstrapServiceStub
from tests.harness.ports import free_port
from tests.harness.serving import running

HELLO = agent_pb2.CheckInRequest(hostname="web-1")


def further(path, clock):
    """Add a good pair on ::1, and let the first pair be deprecated."""
    for name, kind in (("six", "main"), ("six-boot", "bootstrap")):
        ports.add(
            path,
            name,
            kind,
            Change(port=free_port(), address="::1", advertised_host="::1", generate=True),
            clock,
        )
    for name in ("main", "bootstrap"):
        ports.configure(path, name, Change(deprecated=True), clock)


def told(story, uri, prepare=further):
    """Run a story of a server with further listeners."""

    async def bounded():
        async with asyncio.timeout(60), running(uri, prepare=prepare) as server:
            await story(server)

    asyncio.run(bounded())


async def welcomed(server, device, listener):
    """Check in over a listener; return the stream and its welcome."""
    stub = agent_pb2_grpc.AgentServiceStub(server.channel(device, listener=listener))
    stream = stub.CheckIn(HELLO)
    return stream, (await stream.read()).welcome


async def open_issues(server, device):
    found = await server.stores.issues.find_open([device.name], name="deprecated-port")
    return [await server.stores.issues.get(one.issue_id) for one in found]


async def until(what):
    """Wait until a question is answered by yes; the watch looks a second after a change."""
    async with asyncio.timeout(10):
        while not await what():  # noqa: ASYNC110 -- short, in a test
            await asyncio.sleep(0.1)


def test_every_listener_serves_its_kind_and_is_known_by_name(mongo_uri):
    async def story(server):
        device, _ = await server.enroll()
        alice = await server.operator()
        for name, deprecated in (("main", True), ("six", False)):
            stream, welcome = await welcomed(server, device, name)
            assert welcome.deprecated_listener == deprecated
            record = await server.stores.devices.get(device.name)
            assert record.listener == name
            await told_of_listeners(server, alice, name)
            stream.cancel()
        boot = BootstrapServiceStub(server.channel(listener="six-boot"))
        assert (await boot.Begin(bootstrap_pb2.BeginRequest())).nonce

    async def told_of_listeners(server, alice, connected):
        stub = server_pb2_grpc.ServerServiceStub(server.channel(alice, listener="six"))
        answer = await stub.GetServerStatus(server_pb2.GetServerStatusRequest())
        found = {one.name: one for one in answer.listeners}
        assert list(found) == ["main", "bootstrap", "six", "six-boot"]
        assert (found["six"].kind, found["six"].address) == ("main", "::1")
        assert found["six"].advertised_port == found["six"].port
        assert {one.name for one in answer.listeners if one.deprecated} == {"main", "bootstrap"}
        devices = {one.name: one.connected_devices for one in answer.listeners}
        assert devices == {"main": 0, "bootstrap": 0, "six": 0, "six-boot": 0} | {connected: 1}
        assert all(one.certificate_expires_unix_ms for one in answer.listeners)
        assert answer.problems == []

    told(story, mongo_uri)


def test_a_device_on_a_deprecated_listener_has_an_issue_until_it_moves(mongo_uri):
    async def story(server):
        device, _ = await server.enroll()
        lingering, _ = await welcomed(server, device, "main")
        await until(lambda: open_issues(server, device))
        (issue,) = await open_issues(server, device)
        port = server.settings.listen.main_port
        assert issue.evidence == {"listener": "main", "kind": "main", "port": port}
        assert (issue.source, issue.hostname) == ("server", "web-1")
        lingering.cancel()
        await welcomed(server, device, "six")

        async def closed():
            return not await open_issues(server, device)

        await until(closed)
        # Who uses both has found the way: nothing opens again.
        server.clock.move(hours=2)
        await welcomed(server, device, "main")
        await asyncio.sleep(1.5)
        assert await closed()

    told(story, mongo_uri)


def test_renewing_over_a_deprecated_listener_counts_too(mongo_uri):
    async def story(server):
        device, _ = await server.enroll()
        await welcomed(server, device, "six")
        renewed, _ = await server.renew(device)
        await until(lambda: open_issues(server, device))
        (issue,) = await open_issues(server, device)
        assert issue.evidence["listener"] == "bootstrap"
        boot = BootstrapServiceStub(server.channel(listener="six-boot"))
        nonce = (await boot.Begin(bootstrap_pb2.BeginRequest())).nonce
        csr = renewed.csr
        signed = possession.renew_bytes(nonce, device.name, csr)
        await boot.RenewDevice(
            bootstrap_pb2.RenewDeviceRequest(
                nonce=nonce,
                device_id=device.name,
                csr=csr,
                signature=certs.sign(device.key, signed),
            )
        )

        async def closed():
            return not await open_issues(server, device)

        await until(closed)

    told(story, mongo_uri)


def test_tokens_name_the_pair_that_is_to_stay(mongo_uri):
    async def story(server):
        six = {one.name: one.port for one in server.settings.listeners}
        dialled = server.settings.advertised
        assert (dialled.host, dialled.main_port) == ("::1", six["six"])
        assert dialled.bootstrap_port == six["six-boot"]

    told(story, mongo_uri)


def test_two_listeners_on_one_port_are_refused_by_name(mongo_uri):
    def same(path, clock):
        port = int(path.read_text().partition("bootstrap_port = ")[2].split()[0])
        ports.add(path, "again", "main", Change(port=port), clock)

    async def story(server):
        raise AssertionError("it was accepted")

    with pytest.raises(InvalidInput, match="bootstrap and again"):
        told(story, mongo_uri, same)


def listener(*, name="new", address="::1", port=0):
    return ListenerSettings(
        name=name,
        kind="main",
        address=address,
        port=port or free_port(),
        advertised_host="x",
        advertised_port=1,
        certificate=Path("/c"),
        key=Path("/k"),
        deprecated=False,
    )


def test_a_port_that_is_taken_is_named_with_its_listener():
    one = listener()
    with socket.socket(socket.AF_INET6) as taken:
        taken.bind(("::1", one.port))
        taken.listen()
        with pytest.raises(PreconditionFailed, match="listener new") as caught:
            check_port(one)
    assert f"[::1]:{one.port}" in caught.value.text()
    assert "listeners.new.port" in caught.value.remedy
    check_port(one)


def test_an_address_of_another_machine_is_named():
    with pytest.raises(PreconditionFailed) as caught:
        check_port(listener(address="192.0.2.1"))
    assert "correct listeners.new.address" in caught.value.remedy


def test_a_port_of_roots_says_what_to_do(monkeypatch):
    def forbidden(*_):
        raise PermissionError(errno.EACCES, "Permission denied")

    one = listener(name="main", port=443)
    monkeypatch.setattr(socket.socket, "bind", forbidden)
    with pytest.raises(PreconditionFailed, match="Permission denied") as caught:
        check_port(one)
    assert "listen.main_port" in caught.value.remedy
    assert "ip_unprivileged_port_start=443" in caught.value.remedy


def test_a_sleeping_device_is_forgotten_after_a_day(mongo_uri):
    async def story(server):
        device, _ = await server.enroll()
        other, _ = await server.enroll()
        stream, _ = await welcomed(server, device, "main")
        await until(lambda: open_issues(server, device))
        stream.cancel()
        await until(lambda: gone(server))
        server.clock.move(days=1, minutes=1)
        await welcomed(server, other, "main")

        async def closed():
            return not await open_issues(server, device)

        await until(closed)
        assert await open_issues(server, other)

    async def gone(server):
        return server.application.presence.count() == 0

    told(story, mongo_uri)
