"""What became of orders reaches the server and the device's user, whatever happens in between."""

import asyncio
import json

import pytest

from penguin_agent.orders.history import history
from penguindome import keys
from penguindome.envelope import Envelope
from penguindome.errors import InvalidInput, Unavailable
from tests.penguin_agent.order_acts import (
    recorded_device,
)
from tests.penguin_agent.order_device import claimed_id, until


@pytest.fixture
def device(folder, fleet):
    return recorded_device(folder, fleet)


def test_updates_outlive_every_kind_of_trouble(device):
    device.post.failures = [Unavailable("away"), InvalidInput("bad")]

    async def story(device):
        assert (await device.done(device.command("true"))).state == "succeeded"

    device.run(story)


def test_a_refused_receipt_does_not_block_the_others(device):
    async def story(device):
        device.post.failures = [InvalidInput("bad"), InvalidInput("bad")]
        first = device.put(device.command("true"))
        await until(lambda: device.post.last(first))
        assert (await device.ended(first)).state == "succeeded"
        assert device.post.states(first) == ["running", "succeeded"]

    device.run(story)


def test_receipts_are_sealed_with_the_key_that_the_server_knows(device):
    device.post.connected.clear()

    async def story(device):
        order_id = device.put(device.command("true"))
        await until(lambda: device.act.ran)
        device.key = keys.generate_key()
        device.post.spki = keys.key_spki(device.key)
        device.post.connected.set()
        assert (await device.ended(order_id)).state == "succeeded"

    device.run(story)


def test_nothing_more_is_said_of_orders_that_the_server_does_not_know(device):
    envelope = device.command("true")
    device.post.unknown.add(claimed_id(envelope))

    async def story(device):
        device.put(envelope)
        await until(lambda: device.act.ran)
        await until(lambda: not device.orders.store.outbox.unsent(1000, 10))
        calls = len(device.post.calls)
        await asyncio.sleep(0.5)
        assert len(device.post.calls) == calls
        # A server that was restored asks, and is answered.
        device.post.unknown.clear()
        device.put(envelope)
        assert (await device.ended(claimed_id(envelope))).state == "succeeded"

    device.run(story)
    assert len(device.act.ran) == 1


def test_history_tells_who_what_when_and_why_but_no_arguments(device):
    async def story(device):
        await device.done(device.command("true", "secret-word", body={"name": "look"}))
        await device.done(Envelope("command", device.command("true").payload))
        await until(lambda: device.orders.engine.refused["count"])
        return history(device.orders.store.file)

    signed, forged = sorted(device.run(story), key=lambda words: not words["signed"])
    assert (signed["what"], signed["by"], signed["reason"]) == ("look", "alice", "a test")
    assert (signed["state"], signed["kind"]) == ("succeeded", "command")
    assert (forged["signed"], forged["code"]) == (False, "not-signed")
    assert "secret-word" not in json.dumps([signed, forged])
