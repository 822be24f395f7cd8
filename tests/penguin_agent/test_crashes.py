"""kill -9 at every point of enrolling, renewing and reporting leaves one usable identity."""

import signal
from datetime import timedelta

import pytest

from tests.penguin_agent.agent_process import eventually

ENROLL = (
    "identity.key-written",
    "identity.csr-written",
    "identity.application-written",
    "identity.certificate-written",
    "identity.device-written",
    "identity.key-renamed",
    "identity.certificate-renamed",
)
RENEW = (
    "identity.key-written",
    "identity.csr-written",
    "identity.proof-written",
    "identity.certificate-written",
    "identity.device-written",
    "identity.key-renamed",
    "identity.certificate-renamed",
)
SPOOL = ("spool.written", "spool.acknowledged", "spool.state-written", "spool.deleted")
RATCHET = ("ratchet.received", "ratchet.written", "ratchet.confirmed")
IDENTITY = {"key.pem", "certificate.pem", "device.json"}


def names(agent):
    return {path.name for path in (agent.state / "identity").iterdir()}


@pytest.mark.parametrize("point", ENROLL)
def test_enrolling_survives_a_crash(agent, simulator, point):
    agent.enroll(simulator.token(), code=-signal.SIGKILL, PD_FAILPOINT=point)
    agent.enroll(simulator.token(), code=None)
    assert agent.status()["enrolled"]
    assert len(simulator.devices) == 1
    assert names(agent) == IDENTITY
    agent.start()
    eventually(lambda: simulator.device.model.stored)


@pytest.mark.parametrize("point", RENEW)
def test_renewing_survives_a_crash(agent, simulator, point):
    simulator.mischief.certificate_start = timedelta(days=-10)
    simulator.mischief.certificate_end = timedelta(days=4)
    agent.enroll(simulator.token())
    first = simulator.device.spki
    simulator.mischief.certificate_start = timedelta()
    agent.start(PD_FAILPOINT=point)
    assert agent.ended() == -signal.SIGKILL
    agent.start()
    eventually(lambda: simulator.device.model.stored)
    assert len(simulator.device.serials) == 2
    eventually(lambda: names(agent) == IDENTITY | {"successions.json"})
    # Whatever was lost, the keys that were used lead to each other.
    assert simulator.lineage() == [first, simulator.device.spki]


@pytest.mark.parametrize("point", SPOOL)
def test_reporting_survives_a_crash(agent, simulator, point):
    agent.enroll(simulator.token())
    agent.start(PD_FAILPOINT=point)
    assert agent.ended() == -signal.SIGKILL
    agent.start()
    eventually(lambda: set(simulator.device.model.values) == {"agent", "hello"})
    eventually(lambda: agent.status().get("spool_depth") == 0)
    stored = [report.report_id for report in simulator.device.model.stored]
    assert len(stored) == len(set(stored))


@pytest.mark.parametrize("point", RATCHET)
def test_a_check_in_that_a_crash_interrupts_is_known_by_one_of_two_values(agent, simulator, point):
    agent.enroll(simulator.token())
    agent.start(PD_FAILPOINT=point)
    assert agent.ended() == -signal.SIGKILL
    first = simulator.device.handed_out[-1]
    agent.start()
    eventually(lambda: len(simulator.device.checkins) == 2)
    presented = simulator.device.checkins[-1].ratchet
    assert presented == (b"" if point == "ratchet.received" else first)
    # What is confirmed is on the disk, whatever happens next.
    confirmed = [first] if point == "ratchet.confirmed" else []
    eventually(lambda: simulator.device.confirmed == [*confirmed, simulator.device.handed_out[-1]])


def test_the_environment_alone_kills_nothing(agent, simulator):
    agent.config.write_text(agent.config.read_text().replace("failpoints = true", ""))
    agent.enroll(simulator.token(), PD_FAILPOINT="identity.key-written")
