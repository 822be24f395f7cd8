"""A server that was taken over hands over releases: old ones, two of one number, wrong contents."""

from __future__ import annotations

from typing import Any

import pytest

from tests.attacks.kit.world import order_id
from tests.penguin_agent.agent_process import eventually

pytestmark = pytest.mark.timeout(240)


def release(world, number, label="release", **changes: Any):
    """Return a signed release that is one plugin, which leaves a mark, and the mark."""
    mark = world.mark()
    body = world.body("release", mark)
    body = {"label": label, "files": [one for one in body["files"] if "plugins" in one["path"]]}
    return world.signed("release", "alice", "carol", body=body, seq=number, **changes), mark


def taken(world, envelope, mark):
    """Have a release installed; wait until it runs."""
    world.server.send(envelope)
    receipt = world.server.final(order_id(envelope), 90)
    assert receipt.state == "succeeded", receipt
    eventually(mark.exists)


def test_old_equal_and_skipped_numbers(world):
    first, first_mark = release(world, 10)
    taken(world, first, first_mark)
    # The same number with other contents, though the same operators signed it.
    second, second_mark = release(world, 10, "another")
    assert world.code(second) == "equivocation"
    # An earlier number that was withheld.
    old, old_mark = release(world, 9)
    assert world.code(old) == "old-number"
    # Numbers may be left out.
    later, later_mark = release(world, 15)
    taken(world, later, later_mark)
    for number in (11, 14):
        between, mark = release(world, number)
        assert world.code(between) == "old-number"
        assert not mark.exists()
    world.restart(kill=True)
    again, again_mark = release(world, 15, "another")
    assert world.code(again) == "equivocation"
    world.control()
    assert not any(one.exists() for one in (second_mark, old_mark, again_mark))


def test_a_release_that_was_taken_is_not_installed_again(world):
    number = 100
    one, mark = release(world, number)
    taken(world, one, mark)
    two, two_mark = release(world, number + 1)
    taken(world, two, two_mark)
    known = len(world.server.receipts[order_id(one)])
    mark.unlink()
    world.server.send(one)
    assert eventually(lambda: world.server.receipts[order_id(one)][known:])[-1].state == "succeeded"
    world.restart()
    world.control()
    assert not mark.exists()


def test_a_content_that_is_not_the_signed_one_is_not_run(world):
    envelope, mark = release(world, 200)
    other = world.mark()
    evil = b"#!/bin/sh\necho ran >> " + str(other).encode() + b"\necho '{}'\n"
    (wanted,) = {
        digest for digest, data in world.server.blobs.items() if str(mark).encode() in data
    }
    honest = world.server.blobs[wanted]
    world.server.blobs[wanted] = evil.ljust(len(honest), b"\n")[: len(honest)]
    world.server.send(envelope)
    receipt = world.server.final(order_id(envelope), 90)
    assert receipt.state == "failed", receipt
    world.server.blobs[wanted] = honest
    world.control()
    assert not other.exists()
    assert not mark.exists()
    # The control: the same release's contents under a number that was not tried yet.
    good, good_mark = release(world, 201)
    taken(world, good, good_mark)
