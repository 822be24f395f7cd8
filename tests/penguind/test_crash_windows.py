"""Between two writes of one act: what an end there leaves, and what a repeated request mends."""

from __future__ import annotations

import asyncio

import pytest

from penguind.ledger import Ledger
from penguind.store.devices import DeviceStore
from penguind.store.operators import OperatorStore
from penguindome import certs
from penguindome.errors import Unavailable
from penguindome.v1 import bootstrap_pb2 as boot
from tests.harness.serving import refusal, running


def in_server(mongo_uri, story):
    async def run():
        async with asyncio.timeout(60), running(mongo_uri) as server:
            await story(server)

    asyncio.run(run())


async def actions(server):
    return [row.action for row in await server.stores.ledger.after(0, 100)]


@pytest.fixture
def lost_row(monkeypatch):
    """Lose the next row of an act, as an end of the server would."""
    real = Ledger.append
    lost = set()

    async def append(self, actor, action, target, details):
        if action in lost:
            lost.remove(action)
            raise Unavailable("the server ended here")
        return await real(self, actor, action, target, details)

    monkeypatch.setattr(Ledger, "append", append)
    return lost.add


@pytest.mark.parametrize(("waits", "action"), [(False, "device.enroll"), (True, "device.apply")])
def test_no_device_is_without_its_row(mongo_uri, lost_row, waits, action):
    async def story(server):
        token, key = await server.token(max_uses=1, needs_approval=waits), certs.generate_key()
        csr = certs.make_csr(key)
        lost_row(action)
        await refusal(server.enroll(token, key, csr=csr))
        assert await server.stores.devices.find() == []
        first, _ = await server.enroll(token, key, csr=csr)
        second, _ = await server.enroll(token, key, csr=csr)
        assert first.name == second.name
        assert await actions(server) == [action]

    in_server(mongo_uri, story)


def test_a_device_that_is_revoked_meanwhile_gets_no_certificate(mongo_uri, monkeypatch):
    real = DeviceStore.add_certificate

    async def story(server):
        async def late(self, device_id, *rest):
            await self.revoke(device_id, "stolen", server.clock())
            return await real(self, device_id, *rest)

        device, _ = await server.enroll()
        monkeypatch.setattr(DeviceStore, "add_certificate", late)
        answer = await server.poll(device)
        assert (answer.state, answer.certificate) == (boot.ENROLLMENT_STATE_REJECTED, b"")

    in_server(mongo_uri, story)


def test_no_operator_is_without_a_row(mongo_uri, lost_row):
    async def story(server):
        lost_row("operator.join")
        await refusal(server.operator())
        assert await server.stores.operators.all() == []
        await server.operator()
        assert (await actions(server))[-1] == "operator.join"

    in_server(mongo_uri, story)


def test_an_operator_who_is_revoked_while_joining_stays_revoked(mongo_uri, monkeypatch):
    real = OperatorStore.put

    async def story(server):
        await server.operator()

        async def late(self, operator):
            await server.stores.invitations.withdraw(operator.name)
            await server.stores.operators.revoke(operator.name)
            await real(self, operator)

        monkeypatch.setattr(OperatorStore, "put", late)
        assert (await refusal(server.operator())).code == "invitation-refused"
        (alice,) = await server.stores.operators.all()
        assert alice.revoked

    in_server(mongo_uri, story)
