"""Proofs that one key of a device follows another: checked, kept, handed out, made use of."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from datetime import timedelta

import pytest

from penguind.domain.order import Target
from penguindome import certs, keys
from penguindome.errors import Forbidden, InvalidInput
from penguindome.ids import new_ulid
from penguindome.shell.transcript import Checkpoint, seal_checkpoint
from penguindome.succession import SealedSuccession, lineage, seal_succession
from penguindome.times import to_unix_ms
from penguindome.v1 import agent_pb2, device_pb2, shell_pb2, shell_pb2_grpc
from tests.harness.serving import Identity, refusal, running


def in_server(mongo_uri, story):
    async def run():
        async with asyncio.timeout(60), running(mongo_uri) as server:
            await story(server)

    asyncio.run(run())


def proof(server, owner, former, following, **wrong):
    facts = {"fleet": server.settings.server.fleet_id, "device_id": owner} | wrong
    time = to_unix_ms(server.clock())
    return seal_succession(former, following, **facts, time_unix_ms=time)


async def renewed(server, device, *, proofs=None, use=True):
    """Renew with a fresh key and its proof, and use it."""
    key = certs.generate_key()
    if proofs is None:
        proofs = [proof(server, device.name, device.key, key)]
    new, _ = await server.renew(device, key=key, proofs=proofs)
    if use:
        await server.agent(new).ListVerdicts(agent_pb2.ListVerdictsRequest())
    return new


async def handed_out(server, device):
    """Return the keys that operators find, by proofs that they check themselves."""
    request = device_pb2.GetDeviceKeysRequest(device_ids=[device.name])
    answer = await server.devices(await server.operator()).GetDeviceKeys(request)
    (found,) = answer.devices
    proofs = [
        SealedSuccession(one.payload, one.former_signature, one.following_signature)
        for one in found.successions
    ]
    fleet = server.settings.server.fleet_id
    held = lineage(found.public_key, proofs, fleet=fleet, device_id=device.name)
    return [one.spki for one in held]


def spkis(*devices):
    return [keys.key_spki(one.key) for one in devices]


def test_every_renewal_adds_a_proof_that_operators_get(mongo_uri):
    async def story(server):
        first, _ = await server.enroll()
        assert await handed_out(server, first) == spkis(first)
        second = await renewed(server, first)
        third = await renewed(server, second)
        assert await handed_out(server, first) == spkis(first, second, third)

    in_server(mongo_uri, story)


def test_an_agent_that_makes_no_proofs_renews_and_its_history_begins_later(mongo_uri):
    async def story(server):
        first, _ = await server.enroll()
        second = await renewed(server, first, proofs=[])
        third = await renewed(server, second)
        assert await handed_out(server, first) == spkis(second, third)

    in_server(mongo_uri, story)


def test_a_lost_answer_and_a_key_that_was_never_used_leave_one_way_back(mongo_uri):
    async def story(server):
        first, _ = await server.enroll()
        await renewed(server, first, use=False)
        second = await renewed(server, first)
        assert await handed_out(server, first) == spkis(first, second)

    in_server(mongo_uri, story)


def test_wrong_proofs_are_refused_and_nothing_is_kept(mongo_uri):
    async def story(server):
        device, _ = await server.enroll()
        new, other = certs.generate_key(), certs.generate_key()
        good = proof(server, device.name, device.key, new)
        forged = replace(good, former_signature=good.following_signature)
        pair = (device.name, device.key, new)
        wrong = {
            "another device's": [proof(server, *pair, device_id="d-" + "a" * 16)],
            "another fleet's": [proof(server, *pair, fleet="0" * 32)],
            "forged": [forged],
            "from another key": [proof(server, device.name, other, new)],
            "to another key": [proof(server, device.name, device.key, other)],
            "a gap": [proof(server, device.name, other, new), good],
            "too many": [good] * 33,
            "garbage": [SealedSuccession(b"{}", b"", b"")],
            "too large": [replace(good, payload=good.payload + b" " * 4096)],
        }
        for what, proofs in wrong.items():
            error = await refusal(server.renew(device, key=new, proofs=proofs))
            assert isinstance(error, Forbidden | InvalidInput), what
        assert await server.stores.successions.of_device(device.name) == []
        stored = await server.stores.devices.get(device.name)
        assert stored.pending_spki is None

    in_server(mongo_uri, story)


def test_a_server_that_lost_proofs_gets_them_at_the_next_renewal(mongo_uri):
    async def story(server):
        first, _ = await server.enroll()
        second = await renewed(server, first)
        await server.stores.successions.delete_of_device(first.name)
        third_key = certs.generate_key()
        both = [
            proof(server, first.name, first.key, second.key),
            proof(server, first.name, second.key, third_key),
        ]
        third, _ = await server.renew(second, key=third_key, proofs=both)
        await server.agent(third).ListVerdicts(agent_pb2.ListVerdictsRequest())
        assert await handed_out(server, first) == spkis(first, second, third)

    in_server(mongo_uri, story)


def test_a_deleted_device_leaves_no_proofs(mongo_uri):
    async def story(server):
        first, _ = await server.enroll()
        await renewed(server, first)
        alice = server.devices(await server.operator())
        await alice.RevokeDevice(device_pb2.RevokeDeviceRequest(device_id=first.name))
        await alice.DeleteDevice(device_pb2.DeleteDeviceRequest(device_id=first.name))
        assert await server.stores.successions.of_device(first.name) == []

    in_server(mongo_uri, story)


def piece_by(server, key, device_id, order_id):
    checkpoint = Checkpoint(
        fleet=server.settings.server.fleet_id,
        device_id=device_id,
        order_id=order_id,
        number=0,
        lines=0,
        chain=bytes(32),
        line_hashes=b"",
        time_unix_ms=0,
    )
    payload, signature = seal_checkpoint(checkpoint, key)
    return shell_pb2.TranscriptPiece(number=0, checkpoint=payload, signature=signature)


async def handed_in(server, by, signer, order_id):
    """Hand in a piece that a key signed, over the connection of a device."""
    piece = piece_by(server, signer.key, by.name, order_id)
    request = shell_pb2.SubmitTranscriptRequest(order_id=order_id, piece=piece)
    return await shell_pb2_grpc.ShellServiceStub(server.channel(by)).SubmitTranscript(request)


async def session(server, device):
    now = server.clock()
    target = Target(
        new_ulid(now), device.name, "web-1", "shell", "running", now + timedelta(minutes=15)
    )
    await server.stores.order_targets.add([target])
    return target.order_id


@pytest.mark.parametrize("renewals", [1, 2])
def test_what_was_recorded_before_a_renewal_is_taken_after_it(mongo_uri, renewals):
    async def story(server):
        first, _ = await server.enroll()
        order_id = await session(server, first)
        present = first
        for _ in range(renewals):
            present = await renewed(server, present)
        await handed_in(server, present, first, order_id)
        assert [number async for number, _ in server.stores.transcripts.read(order_id, 0)] == [0]

    in_server(mongo_uri, story)


def test_a_key_that_was_given_up_before_a_session_signs_nothing_of_it(mongo_uri):
    async def story(server):
        first, _ = await server.enroll()
        second = await renewed(server, first)
        server.clock.move(days=2)
        order_id = await session(server, first)
        error = await refusal(handed_in(server, second, first, order_id))
        assert error.code == "bad-checkpoint"
        stranger = Identity(certs.generate_key(), b"", first.name)
        assert (await refusal(handed_in(server, second, stranger, order_id))).code == error.code
        await handed_in(server, second, second, order_id)

    in_server(mongo_uri, story)


def test_without_proofs_a_former_key_signs_nothing_any_more(mongo_uri):
    async def story(server):
        first, _ = await server.enroll()
        order_id = await session(server, first)
        second = await renewed(server, first, proofs=[])
        assert (await refusal(handed_in(server, second, first, order_id))).code == "bad-checkpoint"

    in_server(mongo_uri, story)
