"""A server that was taken over wears a device out with envelopes; it goes on, nothing is left."""

from __future__ import annotations

import os
import time
from dataclasses import replace

import psutil
import pytest

from penguindome.envelope import Envelope
from tests.penguin_agent.agent_process import eventually

pytestmark = pytest.mark.timeout(240)
MIB = 1024 * 1024
LONGEST_SECONDS = 10


def quickly_refused(world, envelope):
    started = time.monotonic()
    world.refused(envelope)
    assert time.monotonic() - started < LONGEST_SECONDS


def test_thousands_of_signatures_and_huge_ones_are_refused_at_once(world):
    good = world.signed()
    for signatures in (
        good.signatures * 5000,
        (good.signatures[0] * 34,),
        (good.signatures[0] * 5000,),
        (os.urandom(3 * MIB),),
        tuple(os.urandom(4096) for _ in range(16)),
        tuple(os.urandom(100) for _ in range(17)),
    ):
        quickly_refused(world, replace(good, signatures=signatures))
    world.control()


@pytest.mark.parametrize("size", [MIB, 3 * MIB])
def test_a_huge_payload_is_refused_though_it_is_signed(world, size):
    payload = world.payload()
    large = payload[:-1] + b" " * size + b"}"
    quickly_refused(world, world.fleet.sign("command", large, "alice", "bob"))
    world.control()


@pytest.mark.parametrize("size", [5 * MIB, 100 * MIB])
def test_a_message_that_is_too_large_ends_the_stream_and_nothing_else(world, size):
    count = len(world.server.device.confirmed)
    pid = world.agent.daemon.pid
    before = psutil.Process(pid).memory_info().rss
    world.server.send(Envelope("command", world.payload(), (bytes(size),)))
    eventually(lambda: len(world.server.device.confirmed) > count)
    assert psutil.Process(pid).memory_info().rss < before + 40 * MIB
    assert world.agent.daemon.pid == pid
    world.control()


DEEP = b'{"a":' * 50 + b"1" + b"}" * 50
TIMEOUT = b'"timeout_seconds":60'
NO_PAYLOADS = [b"", b"null", b"\xff\xfe", b"[" * 100_000, b"[" * 50 + b"]" * 50]
# What to put in place of what, each in a payload of its own.
CHANGES = [
    (b'"argv"', b'"name":"x","argv"'),
    (TIMEOUT, b'"timeout_seconds":NaN'),
    (TIMEOUT, b'"timeout_seconds":1e999'),
    (TIMEOUT, b'"timeout_seconds":6.0'),
    (TIMEOUT, b'"timeout_seconds":' + b"9" * 400),
    (TIMEOUT, b'"timeout_seconds":' + DEEP),
    (b'{"body"', b'{"crit":["new"],"body"'),
    (b'{"body"', b'{"fleet":"other","body"'),
    (b'"user":', b'"user":{"$gt":""},"users":'),
    (b'"issued_time":"2', b'"issued_time":"0'),
]


def test_hostile_json_is_refused_after_its_signature_and_crashes_nothing(world):
    changed = [(world.payload(), old, new) for old, new in CHANGES]
    for payload in [*NO_PAYLOADS, *(good.replace(old, new, 1) for good, old, new in changed)]:
        assert payload not in [good for good, _, _ in changed]
        unsigned = world.refused(Envelope("command", payload))
        assert "of the 1 signatures" in unsigned[0]
        signed = world.refused(world.fleet.sign("command", payload, "alice"))
        assert "of the 1 signatures" not in signed[0]
    assert "Traceback" not in world.agent.log()
    world.control()


def test_a_thousand_verifications_leave_nothing_behind(world):
    agent = psutil.Process(world.agent.daemon.pid)
    world.control()
    before, descriptors = agent.memory_info().rss, agent.num_fds()
    for _ in range(8):
        envelopes = []
        for _ in range(8):
            good = world.signed("command", "mallory")
            junk = tuple(os.urandom(100) for _ in range(15))
            envelopes.append(replace(good, signatures=(*junk, *good.signatures)))
        world.refused(*envelopes, seconds=60)
    world.control()
    assert eventually(lambda: agent.num_fds() <= descriptors + 5)
    assert agent.memory_info().rss < before + 40 * MIB
    # Plugins come and go; gpg and what has ended do not stay.
    eventually(lambda: not leftovers(agent))
    assert agent.is_running()


def leftovers(agent):
    """Return children that should not be there, zombies among them."""
    return [
        (one.name(), one.status())
        for one in agent.children(recursive=True)
        if one.status() == psutil.STATUS_ZOMBIE or one.name().startswith(("gpg", "dirmngr"))
    ]
