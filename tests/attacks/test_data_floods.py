"""A device that hands in a hundred times too much is held up, named, and alone in noticing it."""

import threading
import time
from statistics import quantiles

import pytest

from penguindome.errors import InvalidInput, LimitExceeded, PenguinDomeError
from tests.attacks.kit.evil_agent import EvilAgent, verdicts
from tests.attacks.kit.evil_reports import EvilReports
from tests.attacks.kit.wire import refusal
from tests.harness.process import wait_until
from tests.harness.reporter import output

pytestmark = pytest.mark.timeout(180)

BURST = 30
ALLOWED_PER_SECOND = 12 / 60
# A hundred times what is allowed.
PAUSE_SECONDS = 1 / (100 * ALLOWED_PER_SECOND)
PROBES = 100


class Flood(threading.Thread):
    """Hands in reports without a thought for what is answered."""

    def __init__(self, reports):
        super().__init__(daemon=True)
        self.reports = reports
        self.stored = 0
        self.refused = []
        self.ended = threading.Event()

    def run(self):
        turn = 0
        while not self.ended.wait(PAUSE_SECONDS):
            turn += 1
            try:
                error = refusal(self.reports.says, evil=turn)
            except AssertionError:
                self.stored += 1
            else:
                self.refused.append(error)

    def stop(self):
        self.ended.set()
        self.join(20)
        assert not self.is_alive()


@pytest.fixture
def neighbour(wire, token):
    agent = EvilAgent(wire)
    agent.enroll(token, hostname="neighbour")
    return agent


@pytest.fixture
def flood(device):
    reports = EvilReports(device)
    reports.says(honest=1)
    thread = Flood(reports)
    yield thread
    thread.stop()


def slowest(stub):
    """Return the 95th percentile of an honest device's waiting, in seconds."""
    took = []
    for _ in range(PROBES):
        started = time.perf_counter()
        verdicts(stub)
        took.append(time.perf_counter() - started)
    return quantiles(took, n=20)[-1]


def flooding(fleet, device):
    issues = fleet.alice.json("issue", "list", device.device_id, "--name", "agent-flooding")
    return [issue["issue_id"] for issue in issues["issues"]]


def test_flood_is_held_up_and_others_notice_nothing(fleet, device, neighbour, flood):
    stub = neighbour.stub()
    verdicts(stub)
    quiet = slowest(stub)
    started = time.monotonic()
    flood.start()
    wait_until(lambda: len(flood.refused) > 40, 60, "nothing is refused")
    busy = slowest(stub)
    honest = EvilReports(neighbour)
    for turn in range(5):
        honest.says(firewall={"turn": turn})
    flood.stop()
    elapsed = time.monotonic() - started
    assert flood.stored <= BURST + ALLOWED_PER_SECOND * elapsed + 1
    assert all(isinstance(error, LimitExceeded) for error in flood.refused)
    assert all(0 < error.retry_after_seconds <= 60 for error in flood.refused)
    # The machine may be busy with other things: many times quicker is what a flood would break.
    assert busy < max(5 * quiet, 0.25)
    wait_until(lambda: flooding(fleet, device), 20, "nobody is told of the flood")
    assert flooding(fleet, neighbour) == []
    # Only its reports are held up.
    verdicts(device.stub())


def test_issue_is_closed_by_an_operator_and_stays_so(fleet, device, flood):
    flood.start()
    wait_until(lambda: flooding(fleet, device), 60, "nobody is told of the flood")
    fleet.alice.run("issue", "close", flooding(fleet, device)[0], "--reason", "seen to")
    time.sleep(1)
    assert flooding(fleet, device) == []


def test_device_that_waits_as_it_is_told_is_not_named(fleet, device):
    reports = EvilReports(device)
    refused = 0
    for turn in range(BURST + 3):
        try:
            error = refusal(reports.says, honest=turn)
        except AssertionError:
            continue
        refused += 1
        assert isinstance(error, LimitExceeded)
        time.sleep(error.retry_after_seconds)
        reports.says(honest=turn)
    assert refused
    assert flooding(fleet, device) == []


def test_thousands_of_plugin_names_are_refused(fleet, device):
    reports = EvilReports(device)
    reports.says(honest=1)
    many = [output(f"plugin{number}", 1) for number in range(10_000)]
    assert isinstance(refusal(reports.hands_in, *many), InvalidInput)
    # Nor bit by bit.
    reports.hands_in(*many[:200])
    assert isinstance(refusal(reports.hands_in, *many[200:400]), InvalidInput)
    assert len(fleet.alice.json("device", "show", device.device_id)["outputs"]) == 201


def test_oversized_days_are_held_up_by_bytes(device):
    """Reports of the largest size reach the day's allowance long before the number's."""
    reports = EvilReports(device)
    text = ["x" * 200_000] * 4
    error: PenguinDomeError | None = None
    for turn in range(BURST):
        try:
            error = refusal(reports.says, a=[turn, *text], b=[turn, *text], c=[turn, *text])
        except AssertionError:
            continue
        break
    assert isinstance(error, LimitExceeded), "72 MiB passed"
    assert error.retry_after_seconds > 60
