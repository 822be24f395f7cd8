"""The primary steps down or freezes while reports flow: none that was acknowledged is lost."""

import contextlib
import os
import signal
import time

import pytest
from pymongo.errors import PyMongoError

from tests.chaos.reporters import Reporters
from tests.chaos.run import SETTINGS, check_simulated
from tests.harness.fleet import Fleet
from tests.harness.process import wait_until
from tests.harness.replica_set import ReplicaSet

pytestmark = pytest.mark.timeout(240)
FROZEN_SECONDS = 12


@pytest.fixture(scope="module")
def replica_set():
    with ReplicaSet() as running:
        yield running


@pytest.fixture(scope="module")
def fleet(replica_set):
    with Fleet(settings=SETTINGS, database_uri=replica_set.uri) as running:
        yield running


def step_down(replica_set):
    former = replica_set.primary()
    # Some versions close the connection instead of answering.
    with contextlib.suppress(PyMongoError), former.client() as client:
        client.admin.command("replSetStepDown", 20, force=True)
    assert replica_set.primary() is not former


def freeze(replica_set):
    process = replica_set.primary()._process
    os.kill(process.pid, signal.SIGSTOP)
    try:
        time.sleep(FROZEN_SECONDS)
    finally:
        os.kill(process.pid, signal.SIGCONT)


@pytest.mark.parametrize("trouble", [step_down, freeze])
def test_no_acknowledged_report_is_lost_or_stored_twice(fleet, replica_set, trouble):
    reporters = Reporters(fleet.alice.token("--uses", "10"), 3)
    try:
        wait_until(lambda: min(one.turn for one in reporters.devices) > 2, 30, "no reports")
        trouble(replica_set)
        replica_set.wait_until_whole()
        before = max(one.turn for one in reporters.devices)
        wait_until(
            lambda: min(one.turn for one in reporters.devices) > before, 60, "reports do not go on"
        )
    finally:
        numbers = reporters.stop()
    assert len(numbers) == 3
    for device_id, last in numbers.items():
        check_simulated(fleet, device_id, last)
    fleet.alice.run("ledger", "verify")
    assert fleet.server.process.is_running()
