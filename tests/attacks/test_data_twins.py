"""Two devices of one hostname: what cannot be undone hits neither by guesswork."""

import pytest

from tests.attacks.kit.evil_agent import EvilAgent, verdicts

pytestmark = pytest.mark.timeout(120)

HOSTNAME = "twin-of-somebody"
PRECONDITION = 6
DESTRUCTIVE = {
    "revoke": ["device", "revoke", HOSTNAME, "--yes", "--reason", "lost"],
    "delete": ["device", "delete", HOSTNAME, "--yes"],
    "approve": ["device", "approve", HOSTNAME, "--yes"],
    "show": ["device", "show", HOSTNAME],
}


@pytest.fixture
def twins(fleet, wire, token):
    made = [EvilAgent(wire) for _ in range(2)]
    for agent in made:
        agent.enroll(token, hostname=HOSTNAME)
    yield made
    for agent in made:
        fleet.alice.try_run("device", "revoke", agent.device_id, "--yes", "--reason", "end")
        fleet.alice.try_run("device", "delete", agent.device_id, "--yes")


def test_two_devices_of_one_name_are_two_records(fleet, twins):
    listed = fleet.alice.json("device", "list", f"name:{HOSTNAME}")["devices"]
    assert {one["device_id"] for one in listed} == {agent.device_id for agent in twins}
    assert len({one["key_fingerprint"] for one in listed}) == 2


def test_destructive_commands_by_the_shared_name_refuse_and_list_both(fleet, twins):
    for what, words in DESTRUCTIVE.items():
        said = fleet.alice.run(*words, status=PRECONDITION)
        assert all(agent.device_id in said for agent in twins), (what, said)
    listed = fleet.alice.json("device", "list", f"name:{HOSTNAME}")["devices"]
    assert [one["state"] for one in listed] == ["active", "active"]
    for agent in twins:
        verdicts(agent.stub())


def test_the_same_command_by_id_hits_one(fleet, twins):
    words = [word.replace(HOSTNAME, twins[0].device_id) for word in DESTRUCTIVE["revoke"]]
    fleet.alice.run(*words)
    states = {
        one["device_id"]: one["state"]
        for one in fleet.alice.json("device", "list", f"name:{HOSTNAME}")["devices"]
    }
    assert states.get(twins[0].device_id, "revoked") == "revoked"
    assert states[twins[1].device_id] == "active"
    # The name is no longer shared by two that are active.
    fleet.alice.run(*DESTRUCTIVE["revoke"])
    fleet.alice.run("device", "list", f"name:{HOSTNAME}", "--state", "active", status=3)
