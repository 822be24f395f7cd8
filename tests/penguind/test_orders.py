"""Orders from an operator's hand to a device and back."""

from __future__ import annotations

import asyncio

import pytest

from penguindome.v1 import order_pb2
from tests.harness.ordering import id_of, laptop, open_office, printed
from tests.harness.serving import running
from tests.penguindome.signing import Fleet, gpg_home


@pytest.fixture(scope="module")
def signers():
    with gpg_home() as home:
        yield Fleet(home)


def in_office(mongo_uri, signers, story, *names, **document):
    async def run():
        async with asyncio.timeout(90), running(mongo_uri) as server:
            await story(await open_office(server, signers, *names, **document))

    asyncio.run(run())


def test_a_command_reaches_its_device_and_its_end_comes_back(mongo_uri, signers):
    async def story(office):
        web = await laptop(office.server)
        async with web.connected():
            envelope = office.command(web.named)
            order = await office.submit(envelope)
            assert order.missing_signatures == 0
            assert list(order.signed_by) == ["alice"]
            came = await web.next_order()
            assert came == envelope
            order_id = id_of(came)
            assert (await office.states(order_id)) == {web.device_id: "sent"}
            unknown = await web.say(
                web.word(order_id, "accepted"),
                web.word(order_id, "running", 2),
                web.word(order_id, "succeeded", 3, exit_code=0, stdout_bytes=5),
                outputs=[printed(order_id, b"hello")],
            )
            assert unknown == []
            order = await office.wait_for(order_id, succeeded=1)
            (target,) = (await office.get(order_id)).targets
            assert (target.exit_code, target.stdout_bytes, target.vouched) == (0, 5, True)
            call = office.stub().ReadOutput(
                order_pb2.ReadOutputRequest(
                    order_id=order_id, device_id=web.device_id, stream="stdout"
                )
            )
            assert b"".join([one.data async for one in call]) == b"hello"

    in_office(mongo_uri, signers, story)
