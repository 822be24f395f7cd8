"""Orders that open shells, in the hands of a server that was taken over: nothing starts."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import timedelta

import pytest

from penguindome.ids import new_device_id
from penguindome.orders.shell_body import ShellBody
from penguindome.shell.sealing import Ephemeral
from penguindome.strict_json import canonical_json
from penguindome.times import utc_now
from penguindome.trust import Role
from tests.attacks.kit.world import HOSTNAME, SETTINGS, USER, order_id, world_of
from tests.penguin_agent.agent_process import eventually

pytestmark = pytest.mark.timeout(240)
MINUTE = timedelta(minutes=1)
# There is no operator's end here: what starts runs, and is ended soon.
SHELLS = SETTINGS + "[shell]\nresume_seconds = 1\nnotify_wall = false\nnotify_desktop = false\n"


@pytest.fixture(scope="module")
def world(operators):
    with world_of(operators, settings=SHELLS) as running:
        yield running


def body(world, mark, **changes):
    """Return a session that leaves a mark as soon as it starts."""
    names = {world.device_id: HOSTNAME}
    argv = ("/bin/sh", "-c", f"echo ran >> {mark}")
    made = ShellBody(names, Ephemeral().public, user=USER, argv=argv, terminal=False)
    return replace(made, **changes).to_json()


def payload(world, mark, **changes):
    now = utc_now().replace(microsecond=0)
    usual = {"body": body(world, mark), "expires_time": now + 15 * MINUTE}
    return world.payload("shell", **(usual | changes))


def signed(world, mark, *names, **changes):
    return world.fleet.sign("shell", payload(world, mark, **changes), *(names or ("alice",)))


def starts(world, envelope, mark):
    """Send a session, and wait until it ended."""
    world.server.send(envelope)
    eventually(mark.exists)
    world.server.final(order_id(envelope))


def control(world):
    mark = world.mark()
    starts(world, signed(world, mark), mark)
    assert mark.read_text() == "ran\n"


def test_an_order_that_was_carried_out_opens_nothing_again(world):
    mark = world.mark()
    envelope = signed(world, mark)
    starts(world, envelope, mark)
    for _ in range(3):
        world.server.send(envelope)
    world.restart(kill=True)
    world.server.send(envelope)
    control(world)
    assert mark.read_text() == "ran\n"


def test_an_order_with_another_key_of_the_operators_is_not_signed(world):
    mark = world.mark()
    honest = signed(world, mark)
    said = json.loads(honest.payload)
    said["body"] = body(world, mark)
    evil = replace(honest, payload=canonical_json(said))
    assert evil.payload != honest.payload
    assert world.code(evil) == "not-signed"
    assert not mark.exists()
    control(world)


def test_an_order_for_another_device_opens_nothing_here(world):
    mark = world.mark()
    other = new_device_id()
    now = utc_now().replace(microsecond=0)
    for hostnames in ({other: HOSTNAME}, {world.device_id: HOSTNAME}):
        inner = body(world, mark, hostnames=hostnames)
        foreign = world.fleet.order(
            other, "shell", issued_time=now, not_before_time=now, expires_time=now + 15 * MINUTE,
            body=inner,
        )  # fmt: skip
        world.refused(world.fleet.sign("shell", foreign, "alice"))
    both = body(world, mark, hostnames={other: HOSTNAME, world.device_id: HOSTNAME})
    world.refused(world.fleet.sign("shell", payload(world, mark, body=both), "alice"))
    assert not mark.exists()
    control(world)


def test_an_order_lasts_no_longer_than_a_quarter_of_an_hour(world):
    mark = world.mark()
    now = utc_now().replace(microsecond=0)
    old = {"issued_time": now - 20 * MINUTE, "not_before_time": now - 20 * MINUTE}
    world.code(signed(world, mark, **old, expires_time=now - 5 * MINUTE))
    world.refused(signed(world, mark, **old, expires_time=now + 5 * MINUTE))
    # Clocks may differ by some minutes, so that one minute more is not too long.
    world.refused(signed(world, mark, expires_time=now + 30 * MINUTE))
    assert not mark.exists()
    control(world)


def test_a_session_on_a_host_of_another_name_does_not_start(world):
    mark = world.mark()
    inner = body(world, mark, hostnames={world.device_id: "another-name"})
    assert world.code(signed(world, mark, body=inner)) == "hostname-differs"
    control(world)


def test_a_key_that_is_none_opens_nothing(world):
    mark = world.mark()
    envelope = signed(world, mark, body=body(world, mark, operator_key=bytes(32)))
    world.server.send(envelope)
    receipt = world.server.final(order_id(envelope))
    assert (receipt.state, receipt.code) == ("failed", "shell-key")
    assert not mark.exists()
    control(world)


def test_two_have_to_sign_where_two_have_to(world):
    document = world.server.document
    keys = world.fleet.keys
    two = Role(2, (keys["alice"], keys["bob"]))
    world.publish(
        replace(document, version=document.version + 1, roles=document.roles | {"shell": two})
    )
    mark = world.mark()
    plain = payload(world, mark)
    for names in (("alice",), ("alice", "alice"), ("alice", "mallory"), ("alice", "carol")):
        assert world.code(world.fleet.sign("shell", plain, *names)) == "not-signed", names
        assert not mark.exists()
    # The second signature within the window, over the very same payload.
    starts(world, world.fleet.sign("shell", plain, "alice", "bob"), mark)
    assert mark.read_text() == "ran\n"
