"""A server that was taken over hands good orders over again, or not as they were meant."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import timedelta

import pytest

from penguindome.ids import new_device_id, new_fleet_id
from penguindome.times import utc_now
from tests.attacks.kit.world import HOSTNAME, order_id
from tests.penguin_agent.agent_process import eventually

pytestmark = pytest.mark.timeout(240)
MINUTES = timedelta(minutes=1)


def executed(world):
    """Return an order that was done, and its mark."""
    mark = world.mark()
    envelope = world.signed(mark=mark)
    world.runs(envelope, mark)
    return envelope, mark


def again(world, envelope, times=1):
    """Hand an order over again; return what the device says to it then."""
    known = len(world.server.receipts[order_id(envelope)])
    world.server.send(*[envelope] * times)
    return eventually(lambda: world.server.receipts[order_id(envelope)][known:])[-1]


def test_an_order_that_was_done_is_only_told_of_again(world):
    envelope, mark = executed(world)
    assert again(world, envelope, 20).state == "succeeded"
    more = replace(envelope, signatures=envelope.signatures * 2)
    assert again(world, more).state == "succeeded"
    world.control()
    assert mark.read_text() == "ran\n"


@pytest.mark.parametrize("kill", [False, True], ids=["stopped", "killed"])
def test_an_order_that_was_done_before_a_restart_is_not_done_again(world, kill):
    envelope, mark = executed(world)
    world.restart(kill=kill)
    assert again(world, envelope, 3).state == "succeeded"
    world.control()
    assert mark.read_text() == "ran\n"


def test_an_order_that_is_handed_over_many_times_at_once_is_done_once(world):
    mark = world.mark()
    envelope = world.signed(mark=mark)
    world.server.send(*[envelope] * 50)
    assert world.server.final(order_id(envelope)).state == "succeeded"
    world.control()
    assert mark.read_text() == "ran\n"


def test_another_order_under_the_id_of_one_that_was_done_is_not_done(world):
    envelope, mark = executed(world)
    other = world.mark()
    twin = world.signed(mark=other, id=order_id(envelope))
    assert again(world, twin).state == "succeeded"
    world.control()
    assert mark.read_text() == "ran\n"
    assert not other.exists()


def test_a_cancellation_that_comes_first_counts_whatever_other_kinds_say(world):
    """Who may only command cannot make the device forget that something else was called off."""
    mark = world.mark()
    patch = world.signed("patch", "alice", "bob", mark=mark)
    names = {"hostnames": {world.device_id: HOSTNAME}, "order_ids": [order_id(patch)]}
    first = world.signed("cancel-patch", "carol", body=names)
    second = world.signed("cancel-command", "bob", body=names)
    for one in (first, second):
        world.server.send(one)
        assert world.server.final(order_id(one)).state == "succeeded"
    world.server.send(patch)
    assert world.server.final(order_id(patch)).state == "cancelled"
    world.control()
    assert not mark.exists()


def test_a_cancellation_ends_only_what_its_role_may_order(world):
    mark = world.mark()
    body = world.command_body(mark, argv=["/bin/sh", "-c", f"sleep 3; echo ran >> {mark}"])
    command = world.signed(body=body)
    world.server.send(command)
    eventually(lambda: "running" in world.server.states(order_id(command)))
    names = {"hostnames": {world.device_id: HOSTNAME}, "order_ids": [order_id(command)]}
    for kind in ("cancel-patch", "cancel-wipe"):
        other = world.signed(kind, "alice", body=names)
        world.server.send(other)
        receipt = world.server.final(order_id(other))
        assert json.dumps(dict(receipt.details)).count("other-kind") == 1
    assert world.server.final(order_id(command)).state == "succeeded"
    assert mark.read_text() == "ran\n"


def test_an_order_for_another_device_or_fleet_is_refused(world):
    other = new_device_id()
    names = {other: HOSTNAME}
    for kind in ("command", "patch", "wipe-plan", "cancel-command"):
        body = world.body(kind, world.mark()) | {"hostnames": names}
        envelope = world.signed(kind, "alice", "bob", devices=[other], body=body)
        assert world.code(envelope) == "wrong-device"
    for kind in ("command", "release"):
        payload = world.payload(kind)
        moved = payload.replace(world.fleet.id.encode(), new_fleet_id().encode())
        assert world.code(world.fleet.sign(kind, moved, "alice", "bob")) == "wrong-fleet"
    world.control()


def test_an_order_for_a_device_of_another_name_is_refused(world):
    body = world.command_body(world.mark(), hostnames={world.device_id: "another-host"})
    assert world.code(world.signed(body=body)) == "hostname-differs"
    world.control()


def test_an_order_of_one_kind_is_not_taken_for_another(world):
    payload = world.payload("wipe-plan")
    for kind in ("wipe", "cancel-wipe", "command"):
        moved = replace(world.fleet.sign("wipe-plan", payload, "alice", "bob"), kind=kind)
        world.refused(moved)
        # Even if operators were made to sign the bytes as such.
        assert "wrong-kind" not in world.server.states(order_id(moved))
        world.refused(world.fleet.sign(kind, payload, "alice", "bob"))
    world.control()


# Beyond a fortnight the device would want another certificate.
@pytest.mark.parametrize("days", [0, -3650, 10])
def test_an_order_out_of_its_time_is_refused_whatever_time_the_server_says(world, days):
    world.server.mischief.time_offset = timedelta(days=days)
    world.restart()
    now = utc_now().replace(microsecond=0)
    floor = world.server.document.ticket_floor_time
    for changes, code in (
        ({"not_before_time": now - 60 * MINUTES, "expires_time": now - MINUTES}, "expired"),
        ({"not_before_time": now + 10 * MINUTES}, "not-yet-valid"),
        ({"issued_time": now + 10 * MINUTES}, "not-yet-valid"),
        ({"issued_time": floor - timedelta(seconds=1)}, "voided"),
        ({"expires_time": now + timedelta(days=31)}, "too-long"),
    ):
        assert world.code(world.signed(**changes)) == code
    world.server.mischief.time_offset = timedelta()
    world.restart()
    world.control()


def test_what_was_under_way_is_void_after_the_floor_was_raised(world):
    mark = world.mark()
    withheld, control = world.signed(), world.signed(mark=mark)
    world.runs(control, mark)
    now = utc_now().replace(microsecond=0) + timedelta(seconds=1)
    world.publish(world.roles(ticket_floor_time=now))
    assert world.code(withheld) == "voided"
    eventually(lambda: utc_now() > now + timedelta(seconds=1))
    world.control()
