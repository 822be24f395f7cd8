"""Releases that come back, come twice, or come under a number that another one has."""

from __future__ import annotations

import asyncio
import hashlib

import pytest

from penguindome.v1 import order_pb2, release_pb2
from tests.harness.database import mongo_uri
from tests.harness.office_stories import in_office, signers
from tests.harness.ordering import id_of, laptop
from tests.harness.releasing import ReleaseOffice
from tests.harness.serving import refusal

__all__ = ["mongo_uri", "signers"]

pytestmark = pytest.mark.timeout(180)
GOOD, EVIL = b"#!/bin/sh\necho good\n", b"#!/bin/sh\necho evil\n"


def releasing(story):
    """Return a story whose office publishes releases."""

    async def told(office):
        made = ReleaseOffice(office.server, office.signers, office.operators)
        for content in (GOOD, EVIL):
            await made.upload(content)
        await story(made)

    return told


def evil(office, number, **changes):
    return office.release(number, {"plugins/mood": EVIL}, **changes)


async def refused(office, envelope):
    """Hand a release in that must be refused; returns the error's code."""
    return (await refusal(office.publish(envelope))).code


def test_a_number_is_never_used_again_whoever_signs_whatever_became_of_it(mongo_uri, signers):
    async def story(office):
        web = await laptop(office.server)
        first = office.release(5, {"plugins/mood": GOOD})
        async with web.connected():
            await office.publish(first)
            assert await web.succeed() == id_of(first)
            for number in (1, 4, 5):
                assert await refused(office, evil(office, number)) == "used-number"
            # Nor after it was withdrawn, nor under the order's own id.
            await office.change(5, "withdraw")
            assert await refused(office, evil(office, 5)) == "used-number"
            same_id = evil(office, 6, id=id_of(first))
            assert await refused(office, same_id) == "used-id"
            # Its own bytes again bring nothing back.
            await office.publish(first)
            assert (await office.get_release(5)).release.state == "withdrawn"
            await web.no_order()
        late = await laptop(office.server, "web-2")
        async with late.connected():
            await late.no_order()
            # Forward is a way that may have gaps.
            forward = evil(office, 900)
            await office.publish(forward)
            assert await late.next_order() == forward

    in_office(mongo_uri, signers, releasing(story))


def test_two_of_one_number_at_the_same_time_end_with_one(mongo_uri, signers):
    async def story(office):
        web = await laptop(office.server)
        both = [evil(office, 1), office.release(1, {"plugins/mood": GOOD})]
        ends = await asyncio.gather(*(office.publish(one) for one in both), return_exceptions=True)
        assert sum(not isinstance(one, BaseException) for one in ends) == 1
        won = both[[isinstance(one, BaseException) for one in ends].index(False)]
        async with web.connected():
            assert await web.next_order() == won
            await web.no_order()

    in_office(mongo_uri, signers, releasing(story))


def test_a_release_is_no_use_for_single_devices_nor_a_number_for_other_orders(mongo_uri, signers):
    async def story(office):
        web = await laptop(office.server)
        narrowed = evil(office, 1, devices=[web.device_id])
        assert await refused(office, narrowed) == "wrong-targets"
        assert await refused(office, evil(office, None)) == "bad-payload"
        # The highest number would leave none for those who come after.
        assert await refused(office, evil(office, (1 << 53) - 1)) == "far-number"
        numbered = office.signed(
            "patch",
            office.payload("patch", web.named, {"files": [{"path": "a", "remove": True}]}, seq=7),
        )
        assert (await refusal(office.submit(numbered))).code == "bad-payload"
        planned = office.patch(web.named, "plugins/x")
        error = await refusal(office.submit(planned, rollout=order_pb2.RolloutPlan()))
        assert error.code == "bad-plan"

    in_office(mongo_uri, signers, releasing(story))


def test_contents_that_nobody_named_are_given_to_no_device(mongo_uri, signers):
    async def story(office):
        web = await laptop(office.server)
        async with web.connected():
            good = office.release(1, {"plugins/mood": GOOD})
            await office.publish(good)
            await web.next_order()
            assert await office.fetch(web, id_of(good), GOOD) == GOOD
            assert (await refusal(office.fetch(web, id_of(good), EVIL))).code == "no-such-content"
            # An operator's whole store is not a device's: neither by hash nor by calling as one.
            digest = hashlib.sha256(EVIL).digest()
            assert await office.download(digest) == EVIL
            stub = type(office.releases)(office.server.channel(web.identity))
            request = release_pb2.DownloadBlobRequest(sha256=digest)

            async def steal():
                return [one async for one in stub.DownloadBlob(request)]

            assert (await refusal(steal())).code == "not-permitted"

    in_office(mongo_uri, signers, releasing(story))
