"""The database's primary dies under load: what was acknowledged stays, and reports go on."""

import random
import time

import pytest

from tests.chaos.reporters import Reporters
from tests.chaos.run import SETTINGS, check_simulated
from tests.harness.fleet import Fleet
from tests.harness.process import wait_until
from tests.harness.replica_set import ReplicaSet

pytestmark = pytest.mark.timeout(240)
KILLS = 3
PLUGIN = "#!/bin/sh\necho '{\"value\": 1}'\n"


@pytest.fixture(scope="module")
def replica_set():
    with ReplicaSet() as running:
        yield running


@pytest.fixture(scope="module")
def fleet(replica_set):
    with Fleet(settings=SETTINGS, database_uri=replica_set.uri) as running:
        yield running


def test_killing_the_primary_under_load_loses_and_doubles_nothing(fleet, replica_set):
    chance = random.Random(5)
    reporters = Reporters(fleet.alice.token("--uses", "10"), 4)
    try:
        for _ in range(KILLS):
            time.sleep(chance.uniform(0.5, 2))
            killed = replica_set.kill_primary()
            before = max(one.turn for one in reporters.devices)
            replica_set.primary()
            wait_until(
                lambda before=before: min(one.turn for one in reporters.devices) > before,
                60,
                "reports do not go on after the election",
            )
            killed.start()
            replica_set.wait_until_whole()
    finally:
        numbers = reporters.stop()
    assert len(numbers) == 4
    for device_id, last in numbers.items():
        assert last > KILLS
        check_simulated(fleet, device_id, last)
    fleet.alice.run("ledger", "verify")
    assert fleet.server.process.is_running()


def test_an_operators_act_during_an_election_happens_once_or_says_that_it_did_not(
    fleet, replica_set
):
    agent = fleet.device(plugins=fleet.plugins(example=PLUGIN), token=fleet.alice.token())
    fleet.wait_for_report(agent)
    killed = replica_set.kill_primary()
    done = fleet.alice.try_run("device", "label", agent.device_id(), "--add", "during")
    replica_set.primary()
    labels = fleet.shown(agent)["device"]["labels"]
    if done.returncode == 0:
        assert labels == ["during"]
    else:
        assert "database" in done.stderr
        fleet.alice.run("device", "label", agent.device_id(), "--add", "during")
        assert fleet.shown(agent)["device"]["labels"] == ["during"]
    killed.start()
    replica_set.wait_until_whole()
    fleet.alice.run("ledger", "verify")


def test_without_a_majority_nothing_is_acknowledged_and_all_comes_back_with_it(fleet, replica_set):
    agent = fleet.device(plugins=fleet.plugins(example=PLUGIN), token=fleet.alice.token())
    fleet.wait_for_report(agent)
    first, second = replica_set.kill_primary(), None
    second = next(one for one in replica_set.members if one is not first)
    second.stop()
    done = fleet.alice.try_run("token", "create", "--note", "in vain")
    assert done.returncode != 0
    assert "Traceback" not in done.stderr
    first.start()
    second.start()
    replica_set.wait_until_whole()

    def works() -> bool:
        return fleet.alice.try_run("token", "create", "--note", "again").returncode == 0

    wait_until(works, 60, "the server does not find its database again")
    assert fleet.server.process.is_running()
