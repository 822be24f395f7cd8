"""Whatever the daemon does, it ends when told to; and what it says about itself is true."""

import os
import signal
import subprocess
import sys
import time
from datetime import timedelta
from pathlib import Path

import pytest

from penguin_agent import control
from penguindome.errors import Unauthenticated, Unavailable
from tests.penguin_agent.agent_process import HELLO, eventually

SLOW = "#!/bin/sh\nexec sleep 30\n"
ENDING_SECONDS = 2.0
BURN = "import time\nend = time.monotonic() + 60\nwhile time.monotonic() < end: pass"


@pytest.fixture
def load():
    """Keep every core busy."""
    burners = [subprocess.Popen([sys.executable, "-c", BURN]) for _core in range(os.cpu_count())]
    yield
    for burner in burners:
        burner.kill()
        burner.wait()


def mid_collection(agent, _simulator):
    eventually(lambda: list(agent.state.glob("plugins-work/*")))


def mid_submission(_agent, simulator):
    eventually(lambda: simulator.device.model.stored)


def mid_pause(agent, _simulator):
    eventually(lambda: "No connection" in agent.log())


def at_any_time(_agent, _simulator):
    time.sleep(0.3)


SCENES = [mid_collection, mid_submission, mid_pause, at_any_time]


@pytest.mark.parametrize("round_", range(5))
@pytest.mark.parametrize("scene", SCENES)
@pytest.mark.usefixtures("load")
def test_the_daemon_ends_in_time_under_load(agent, simulator, scene, round_):
    agent.enroll(simulator.token())
    if scene is mid_collection:
        agent.plugin("slow", SLOW)
    if scene is mid_pause:
        simulator.stop()
    agent.start()
    scene(agent, simulator)
    time.sleep(0.1 * round_)
    started = time.monotonic()
    # Before its first line the interpreter itself ends at the signal.
    assert agent.stop() in ({0, -signal.SIGTERM} if scene is at_any_time else {0})
    assert time.monotonic() - started < ENDING_SECONDS
    assert "Traceback" not in agent.log()
    assert not survivors(agent)


def survivors(agent):
    """Return the processes that still run something of this agent."""
    listed = subprocess.run(["ps", "-eo", "args"], capture_output=True, text=True, check=True)
    return [line for line in listed.stdout.splitlines() if str(agent.folder) in line]


def test_a_daemon_that_hangs_is_not_said_to_be_down(agent, simulator, monkeypatch):
    agent.enroll(simulator.token())
    agent.start()
    eventually(lambda: agent.status()["running"])
    agent.daemon.send_signal(signal.SIGSTOP)
    try:
        monkeypatch.setattr(control, "IDLE_SECONDS", 0.5)
        with pytest.raises(Unavailable, match="does not answer") as caught:
            control.ask(agent.folder / "run/agent.sock", "status")
        assert caught.value.code == control.HUNG
        assert "runs but does not answer" in agent.run("status", code=5)
    finally:
        agent.daemon.send_signal(signal.SIGCONT)


def test_a_renewal_moves_to_a_new_stream_and_loses_nothing(agent, simulator):
    agent.enroll(simulator.token())
    agent.start()
    eventually(lambda: simulator.device.model.stored)
    eventually(lambda: agent.status()["connected"])
    agent.plugin("new", HELLO)
    assert control.ask(agent.folder / "run/agent.sock", "collect-now")["accepted"]
    simulator.device.streams[-1].put(Unauthenticated("expired", code="expired"))
    eventually(lambda: len(simulator.device.serials) == 2)
    eventually(lambda: "new" in simulator.device.model.values)
    eventually(lambda: agent.status()["connected"] and not agent.status()["spool_depth"])
    stored = [report.report_id for report in simulator.device.model.stored]
    assert len(stored) == len(set(stored))
    assert len(simulator.device.checkins) >= 2


def test_the_library_for_keys_is_never_loaded_by_the_daemon(agent, simulator):
    simulator.mischief.certificate_start = timedelta(days=-10)
    simulator.mischief.certificate_end = timedelta(days=4)
    agent.enroll(simulator.token())
    simulator.mischief.certificate_start = timedelta()
    agent.start()
    eventually(lambda: simulator.device.model.stored)
    assert len(simulator.device.serials) == 2
    assert "cryptography" not in Path(f"/proc/{agent.daemon.pid}/maps").read_text()


def test_an_enrollment_is_told_at_once_by_the_daemon_that_waits_for_it(agent, simulator):
    agent.start()
    eventually(lambda: agent.status()["running"])
    agent.enroll(simulator.token())
    words = agent.status()
    assert (words["enrolled"], words["device_id"]) == (True, simulator.device.device_id)
