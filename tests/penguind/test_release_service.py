"""Releases over the wire: contents in and out, and a whole rollout with devices that answer."""

from __future__ import annotations

import asyncio
import hashlib
import os

import pytest

from penguind.store.blobs import PIECE_BYTES
from penguindome.v1 import agent_pb2, order_pb2, release_pb2
from penguindome.v1.release_pb2_grpc import ReleaseServiceStub
from tests.harness.ordering import id_of, laptop
from tests.harness.releasing import ReleaseOffice, open_release_office
from tests.harness.serving import refusal, running
from tests.penguindome.signing import Fleet, gpg_home

SCRIPT = b"#!/bin/sh\necho '{}'\n"


@pytest.fixture(scope="module")
def signers():
    with gpg_home() as home:
        yield Fleet(home)


def in_office(mongo_uri, signers, story, *names, **document):
    async def run():
        async with asyncio.timeout(90), running(mongo_uri) as server:
            await story(await open_release_office(server, signers, *names, **document))

    asyncio.run(run())


def test_contents_go_in_and_come_out_and_what_is_missing_is_told(mongo_uri, signers):
    async def story(office: ReleaseOffice):
        data = os.urandom(2 * PIECE_BYTES + 17)
        digest = hashlib.sha256(data).digest()
        other = hashlib.sha256(b"other").digest()
        assert await office.missing(digest, other) == {digest, other}
        await office.upload(data)
        await office.upload(data)
        assert await office.missing(digest, other) == {other}
        assert await office.download(digest) == data
        assert (await refusal(office.download(other))).code == "no-blob"
        assert (await refusal(office.missing(b"short"))).code == "bad-hash"

    in_office(mongo_uri, signers, story)


def test_an_upload_that_is_not_as_announced_is_refused(mongo_uri, signers):
    async def story(office: ReleaseOffice):
        data = os.urandom(1000)
        digest = hashlib.sha256(data).digest()
        for wrong in (data[:-1], data + b"x", data[::-1]):
            error = await refusal(office.upload(wrong, digest=digest, size=len(data)))
            assert error.code == "wrong-content"
        too_large = await refusal(office.upload(data, digest=digest, size=1 << 40))
        assert too_large.code == "too-large"
        assert (await refusal(office.pieces([]))).code == "empty-upload"
        first = release_pb2.UploadBlobRequest(sha256=digest, size=PIECE_BYTES + 1)
        first.data = b"x" * (PIECE_BYTES + 1)
        assert (await refusal(office.pieces([first]))).code == "too-large"
        assert await office.missing(digest) == {digest}

    in_office(mongo_uri, signers, story)


def test_a_release_goes_from_canary_to_all_and_each_device_fetches_it(mongo_uri, signers):
    async def story(office: ReleaseOffice):
        canary = await laptop(office.server, "canary-1")
        other = await laptop(office.server, "web-1")
        big = os.urandom(PIECE_BYTES + 5)
        files = {"plugins/mood": SCRIPT, "data/big": big}
        async with canary.connected(), other.connected():
            ring = order_pb2.RolloutRing(name="canary", selectors=["canary-*"])
            envelope = office.release(1, files)
            refused = await refusal(office.publish(envelope, ring))
            assert refused.code == "missing-contents"
            assert "2 of its 2 contents" in refused.reason
            for data in files.values():
                await office.upload(data)
            await office.publish(envelope, ring)
            assert await canary.next_order() == envelope
            await other.no_order()
            got = await office.fetch(canary, id_of(envelope), big)
            assert got == big
            assert await office.fetch(canary, id_of(envelope), big, offset=7) == big[7:]
            await canary.say(canary.word(id_of(envelope), "succeeded", 2))
            await office.rings(1, canary=(True, 1, 1), rest=(False, 1, 0))
            changed = await office.change(1, "advance")
            assert changed.open_rings == 2
            assert await other.succeed() == id_of(envelope)
            release = await office.rings(1, canary=(True, 1, 1), rest=(True, 1, 1))
            await office.wait_state(1, "complete")
            assert release.order.by == "alice"
            listed = await office.releases.ListReleases(release_pb2.ListReleasesRequest())
            assert [one.number for one in listed.releases] == [1]
        # Who is enrolled later gets it, too.
        late = await laptop(office.server, "web-2")
        async with late.connected():
            assert await late.next_order() == envelope
        async with other.connected(release=1):
            await other.no_order()

    in_office(mongo_uri, signers, story)


def test_a_device_fetches_only_what_an_order_for_it_names(mongo_uri, signers):
    async def story(office: ReleaseOffice):
        mine, other = await laptop(office.server, "a"), await laptop(office.server, "b")
        secret, shared = os.urandom(100), os.urandom(100)
        for data in (secret, shared, SCRIPT):
            await office.upload(data)
        patch = office.large_patch(mine.named, "data/secret", secret)
        unknown = office.large_patch(mine.named, "data/unknown", os.urandom(9))
        assert (await refusal(office.submit(unknown))).code == "missing-contents"
        async with mine.connected(), other.connected():
            await office.submit(patch)
            assert await mine.next_order() == patch
            order_id = id_of(patch)
            assert await office.fetch(mine, order_id, secret) == secret
            for who, what, where in (
                (other, secret, order_id),
                (mine, shared, order_id),
                (mine, secret, "01JDNOSUCHORDERATALL000000"),
                (mine, secret, ""),
            ):
                error = await refusal(office.fetch(who, where, what))
                assert error.code == "no-such-content", (who.hostname, where)
            beyond = await refusal(office.fetch(mine, order_id, secret, offset=101))
            assert "100 bytes only" in beyond.reason
            assert (await refusal(office.fetch_raw(mine, order_id, b"x"))).code == "bad-hash"

    in_office(mongo_uri, signers, story)


def test_a_device_that_reads_slowly_holds_little_and_cannot_take_every_stream(mongo_uri, signers):
    async def story(office: ReleaseOffice):
        web = await laptop(office.server)
        data = os.urandom(12 * 1024 * 1024)
        await office.upload(data)
        patch = office.large_patch(web.named, "data/large", data)
        async with web.connected():
            await office.submit(patch)
            await web.next_order()
            request = agent_pb2.FetchBlobRequest(
                order_id=id_of(patch), sha256=hashlib.sha256(data).digest()
            )
            slow = [web.agent.FetchBlob(request) for _ in range(4)]
            got = [(await call.read()).data for call in slow]
            assert got == [data[:PIECE_BYTES]] * 4
            # Some more wait for their turn, as after a connection that was lost.
            waiting = [asyncio.create_task(office.fetch(web, id_of(patch), data)) for _ in "ab"]
            await asyncio.sleep(0.3)
            assert not any(one.done() for one in waiting)
            many = [web.agent.FetchBlob(request) for _ in range(30)]
            ends = await asyncio.gather(*(one.code() for one in many[20:]))
            assert {one.name for one in ends} == {"RESOURCE_EXHAUSTED"}
            for call in (*slow, *many):
                call.cancel()
            assert await asyncio.gather(*waiting) == [data, data]

    in_office(mongo_uri, signers, story)


def test_a_release_waits_for_its_second_signature(mongo_uri, signers):
    async def story(office: ReleaseOffice):
        web = await laptop(office.server)
        await office.upload(SCRIPT)
        async with web.connected():
            envelope = office.release(1, {"plugins/mood": SCRIPT})
            order = await office.publish(envelope)
            assert order.missing_signatures == 1
            assert (await office.get_release(1)).release.state == "waiting"
            await web.no_order()
            await office.approve(envelope, "bob")
            await web.next_order()
            given_up = office.release(2, {"plugins/mood": SCRIPT})
            await office.publish(given_up)
            await office.change(2, "withdraw", "not needed")
            assert (await refusal(office.approve(given_up, "bob"))).code == "order-ended"
            await web.no_order()
            assert (await office.get_release(1)).release.state == "rolling"

    in_office(mongo_uri, signers, story, "alice", "bob", threshold=2)


def test_what_nobody_can_do_is_refused(mongo_uri, signers):
    async def story(office: ReleaseOffice):
        error = await refusal(office.change(9, "halt"))
        assert error.code == "no-release"
        assert (await refusal(office.change(0, "halt"))).code == "invalid-input"
        request = release_pb2.ListReleasesRequest(limit=1001)
        assert "at most" in (await refusal(office.releases.ListReleases(request))).reason
        viewer = await office.server.operator("vic", ["viewer"])
        stub = ReleaseServiceStub(office.server.channel(viewer))
        call = stub.ChangeRollout(release_pb2.ChangeRolloutRequest(number=1, action="halt"))
        assert (await refusal(call)).code == "role-missing"
        await stub.ListReleases(release_pb2.ListReleasesRequest())

    in_office(mongo_uri, signers, story)
