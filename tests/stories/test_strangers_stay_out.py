"""Tokens do what they were made for and nothing else; a revoked device is out at once."""

import time

import pytest

from tests.harness.process import wait_until

pytestmark = pytest.mark.timeout(180)

PLUGIN = "#!/bin/sh\necho '{\"value\": 1}'\n"


@pytest.fixture(scope="module")
def plugins(fleet):
    return fleet.plugins(example=PLUGIN)


def test_token_of_one_use_lets_one_in(fleet, alice, plugins):
    token = alice.token()
    fleet.device(plugins=plugins).enroll(token)
    second = fleet.device(plugins=plugins)
    assert "used" in second.enroll(token, ok=False)
    assert not (second.folder / "state/identity/device.json").exists()


def test_revoked_token_lets_nobody_in(fleet, alice, plugins):
    token = alice.token()
    newest = alice.json("token", "list")["tokens"][0]
    alice.run("token", "revoke", newest["token_id"])
    fleet.device(plugins=plugins).enroll(token, ok=False)


@pytest.mark.parametrize("length", [10, 100, -1])
def test_mistyped_token_is_refused_before_anybody_is_asked(fleet, alice, plugins, length):
    token = alice.token()
    said = fleet.device(plugins=plugins).enroll(token[:length], ok=False)
    assert "token" in said


def test_token_from_another_network_is_refused(fleet, alice, plugins):
    fleet.device(plugins=plugins).enroll(alice.token("--cidr", "192.0.2.0/24"), ok=False)


def test_token_is_not_taken_from_the_command_line(fleet, alice, plugins):
    # Everybody on the machine can read command lines.
    agent = fleet.device(plugins=plugins)
    agent.run("enroll", alice.token(), ok=False)


def test_revocation_ends_the_stream_within_two_seconds(fleet, alice, plugins):
    agent = fleet.device(plugins=plugins, token=alice.token())
    fleet.wait_for_report(agent)
    assert fleet.shown(agent)["device"]["connected"]
    alice.run("device", "revoke", agent.device_id(), "--yes", "--reason", "lost")
    start = time.monotonic()
    wait_until(lambda: not fleet.shown(agent)["device"]["connected"], 4, "it is still connected")
    assert time.monotonic() - start < 2 + 1  # a penguinctl call takes part of a second
    time.sleep(2)
    assert not fleet.shown(agent)["device"]["connected"]
    assert fleet.shown(agent)["device"]["state"] == "revoked"


def test_second_operator_sees_what_their_role_allows(fleet, alice):
    bob = fleet.operator("bob", fleet.invite("bob", "--role", "viewer"))
    assert bob.json("device", "list")["devices"]
    bob.run("token", "create", status=4)
    assert alice.json("ledger", "list")
