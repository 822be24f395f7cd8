"""A running server replaces its authorities and renews its certificate before they end."""

from __future__ import annotations

import asyncio

import pytest

from penguind import ca_console
from penguind.identity import rotation
from penguind.identity.authority import load_authority
from penguind.identity.authority_files import generations, newest
from penguind.identity.upkeep import Upkeep
from penguind.ledger import Ledger
from penguindome import certs
from penguindome.v1 import agent_pb2 as pb
from penguindome.v1 import server_pb2
from penguindome.v1.server_pb2_grpc import ServerServiceStub
from tests.harness.serving import refusal, running


def in_server(uri, story):
    async def run():
        async with running(uri) as server:
            await asyncio.wait_for(story(server), 60)

    asyncio.run(run())


async def until(check):
    for _ in range(200):
        if await check():
            return
        await asyncio.sleep(0.05)
    raise AssertionError("it did not happen")


async def call(server, device):
    return await server.agent(device).ListVerdicts(pb.ListVerdictsRequest())


async def actions(server):
    return [(row.actor, row.action) for row in await server.stores.ledger.after(0, 100)]


def test_authorities_are_replaced_sixty_days_before_their_end(mongo_uri):
    async def story(server):
        state = server.settings.server.state_dir
        await asyncio.sleep(0.3)
        assert len(generations(state, "device")) == 1
        server.clock.move(days=669)
        await asyncio.sleep(2.5)
        assert len(generations(state, "device")) == 1
        server.clock.move(days=2)

        async def replaced():
            return all(len(generations(state, kind)) == 2 for kind in ("device", "operator"))

        await until(replaced)
        assert (await actions(server)).count(("server", "authority.rotate")) == 2
        assert len(generations(state, "anchor")) == 1

    in_server(mongo_uri, story)


def test_the_servers_certificate_is_renewed_thirty_days_before_its_end(mongo_uri):
    async def story(server):
        path = server.settings.listen.certificate
        before = certs.parse_certificate(path.read_bytes())
        server.clock.move(days=366)
        await asyncio.sleep(2.5)
        assert certs.parse_certificate(path.read_bytes()) == before
        server.clock.move(days=2)

        async def renewed():
            return certs.parse_certificate(path.read_bytes()).not_after > before.not_after

        await until(renewed)
        assert ("server", "server-certificate.renew") in await actions(server)

    in_server(mongo_uri, story)


def test_an_anchors_key_elsewhere_is_asked_for_in_time(mongo_uri):
    async def story(server):
        state = server.settings.server.state_dir
        path, key = server.settings.listen.certificate, newest(state, "anchor").key_path
        stored, before = key.read_bytes(), path.read_bytes()
        authority = load_authority(state, server.settings.server.fleet_id)
        ledger = Ledger(server.stores.ledger, server.clock)
        files = [(path, server.settings.listen.key)]
        upkeep = Upkeep(state, files, authority, ledger, server.clock)
        key.unlink()
        server.clock.move(days=366)
        assert upkeep.problems() == []
        server.clock.move(days=2)
        await upkeep.look()
        assert path.read_bytes() == before
        assert "--anchor-key" in upkeep.problems()[0]
        key.write_bytes(stored)
        await upkeep.look()
        assert path.read_bytes() != before
        assert upkeep.problems() == []
        server.clock.move(days=3652 - 368 - 399)
        assert "penguind ca rotate anchor" in upkeep.problems()[-1]

    in_server(mongo_uri, story)


def test_a_running_server_takes_new_authorities_over(mongo_uri):
    async def story(server):
        state, fleet = server.settings.server.state_dir, server.settings.server.fleet_id
        old, _ = await server.enroll()
        await call(server, old)
        key, pem = rotation.next_authority(state, fleet, "device", server.clock())
        made = rotation.install(state, "device", key, pem)

        async def issues_anew():
            device, _ = await server.enroll()
            return certs.signed_by(device.certificate, made.certificate)

        await until(issues_anew)
        new, _ = await server.enroll()
        # A former certificate opens new connections, and so does a new one.
        for device in (old, new):
            await call(server, device)
        channel = server.agent(old)
        await channel.ListVerdicts(pb.ListVerdictsRequest())
        rotation.retire(state, generations(state, "device")[1])
        await asyncio.sleep(2.5)
        error = await refusal(channel.ListVerdicts(pb.ListVerdictsRequest()))
        assert error.code == "other-authority"
        renewed, _ = await server.renew(old)
        await call(server, renewed)

    in_server(mongo_uri, story)


@pytest.mark.parametrize("kind", ["device", "operator", "anchor"])
def test_what_people_are_shown(mongo_uri, kind):
    async def story(server):
        rows = [one for one in ca_console.describe(server.settings) if one.kind == kind]
        assert [(one.has_key, one.needed_until) for one in rows] == [(True, None)]

    in_server(mongo_uri, story)


@pytest.mark.parametrize("damage", ["gone", "garbage"])
def test_an_anchor_that_cannot_be_read_is_a_problem_that_the_status_tells(mongo_uri, damage):
    async def story(server):
        anchor = newest(server.settings.server.state_dir, "anchor").path
        service = ServerServiceStub(server.channel(await server.operator()))

        async def problems():
            request = server_pb2.GetServerStatusRequest()
            return " ".join((await service.GetServerStatus(request)).problems)

        assert "anchor" not in await problems()
        anchor.unlink() if damage == "gone" else anchor.write_bytes(b"garbage")
        assert "The anchor cannot be looked at" in await problems()

    in_server(mongo_uri, story)
