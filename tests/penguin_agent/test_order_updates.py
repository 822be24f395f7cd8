"""What became of orders reaches the server and the device's user, whatever happens in between."""

import asyncio
import json

import pytest

from penguin_agent.orders.history import history
from penguin_agent.orders.updates import Pace
from penguindome import keys
from penguindome.envelope import Envelope
from penguindome.errors import InvalidInput, Unavailable
from tests.penguin_agent.order_acts import (
    recorded_device,
)
from tests.penguin_agent.order_device import Device, claimed_id, until

RATES_PER_MINUTE = 300


@pytest.fixture
def device(folder, fleet):
    return recorded_device(folder, fleet)


def test_updates_outlive_every_kind_of_trouble(device):
    device.post.failures = [Unavailable("away"), InvalidInput("bad")]

    async def story(device):
        assert (await device.done(device.command("true"))).state == "succeeded"

    device.run(story)


def test_the_end_of_a_short_command_follows_its_beginning_at_once():
    pace = Pace()
    assert pace.after_call(100.0) <= 0.02


@pytest.mark.parametrize("call_seconds", [0.0, 0.01, 0.1])
def test_a_chatty_program_stays_within_what_the_server_takes(call_seconds):
    pace, now, calls = Pace(), 100.0, 0
    while now < 700.0:
        now += call_seconds
        calls += 1
        now += pace.after_call(now)
    # Those of ten minutes, as the server's limits for each device have them.
    assert calls <= 600 / 60 * RATES_PER_MINUTE


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


def test_output_is_whole_whatever_answers_are_lost(folder, fleet):
    device = Device(folder, fleet)
    device.post.lost_answers = 3
    script = "i=0; while [ $i -lt 40000 ]; do echo line $i; echo err $i >&2; i=$((i+1)); done"

    async def story(device):
        receipt = await device.done(device.command("/bin/sh", "-c", script))
        for stream, word, size in (
            ("stdout", "line", receipt.stdout_bytes),
            ("stderr", "err", receipt.stderr_bytes),
        ):
            wanted = "".join(f"{word} {number}\n" for number in range(40_000)).encode()
            assert size == len(wanted)
            await until(lambda s=stream, w=wanted: device.printed(receipt.order_id, s) == w)

    device.run(story)


def test_output_goes_on_where_it_was_acknowledged(folder, fleet):
    device = Device(folder, fleet)
    script = "head -c 3000000 /dev/zero | tr '\\0' x"

    async def first(device):
        order_id = device.put(device.command("/bin/sh", "-c", script))
        await until(lambda: len(device.printed(order_id)) > 500_000)
        return order_id

    order_id = device.run(first)
    held = len(device.printed(order_id))
    calls = len(device.post.calls)

    async def then(device):
        receipt = await device.ended(order_id)
        await until(lambda: len(device.printed(order_id)) == receipt.stdout_bytes)

    device.run(then)
    again = sum(pieces for _, pieces in device.post.calls[calls:]) * 256 * 1024
    assert again < 3_000_000 - held + 3 * 256 * 1024
    assert set(device.printed(order_id)) == {ord("x")}


def test_a_chatty_program_does_not_silence_the_others(folder, fleet):
    device = Device(folder, fleet)

    async def story(device):
        device.put(device.command("/bin/sh", "-c", "head -c 30000000 /dev/zero; sleep 30"))
        await until(lambda: device.post.output)
        quiet = await device.done(device.command("echo", "quiet"))
        await until(lambda: device.printed(quiet.order_id) == b"quiet\n")
        assert sum(map(len, device.post.output.values())) < 20_000_000

    device.run(story)


def test_a_new_connection_ends_the_pause_after_a_failure(device):
    device.post.failures = [Unavailable("away", retry_after_seconds=3600)]

    async def story(device):
        order_id = device.put(device.command("true"))
        await until(lambda: not device.post.failures)
        device.post.connected.clear()
        await asyncio.sleep(1.5)
        assert not device.post.receipts
        device.post.connected.set()
        assert (await device.ended(order_id)).state == "succeeded"

    device.run(story)
