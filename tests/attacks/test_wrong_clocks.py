"""A laptop whose clock is years out gets past no date, and says what is wrong."""

import pytest

from tests.harness.agent import Agent
from tests.harness.process import BIN, ENDS_WITH_US, wait_until
from tests.harness.time_travel import faketime_library

pytestmark = pytest.mark.timeout(120)
PLUGIN = "#!/bin/sh\necho '{\"value\": 1}'\n"
YEARS = {"-5y": "wrong", "+5y": "doubtful"}

# The agent begins by dropping LD_PRELOAD and the like; these leave everything as it is.
FAKED = "from penguin_agent import cli; cli.secure = lambda _: None; raise SystemExit(cli.main())"
# The agent's own clock alone is wrong: TLS still knows the time.
SHIFTED = f"""
from datetime import timedelta
from penguindome import times
right = times.utc_now
times.utc_now = lambda: right() + timedelta(days=DAYS)
{FAKED}
"""


class Elsewhen(Agent):
    """A device whose clock can be wrong."""

    code = FAKED
    shift = ""

    def _words(self, *words):
        python = str(BIN / "python")
        program = ["setpriv", ENDS_WITH_US, "--", python, "-c", self.code]
        return [*program, "--config", str(self.config), *map(str, words)]

    def _environment(self):
        faked = {
            "LD_PRELOAD": str(faketime_library()),
            "FAKETIME": self.shift,
            "FAKETIME_DONT_FAKE_MONOTONIC": "1",
        }
        return {**super()._environment(), **(faked if self.shift else {})}


@pytest.fixture
def agent(fleet):
    made = Elsewhen(fleet.folder / f"w{len(fleet.agents)}", plugins=fleet.plugins(one=PLUGIN))
    fleet.agents.append(made)
    return made


def running(agent):
    """Return the daemon's status, which it must be alive to give."""
    assert agent.process.is_running(), agent.log()
    return agent.status()


def clock(agent):
    """Return what the daemon says about its clock, once it listens."""
    return running(agent).get("clock", {"state": ""})


@pytest.mark.parametrize(("shift", "state"), YEARS.items())
def test_whole_machine_five_years_out(fleet, agent, shift, state):
    agent.enroll(fleet.alice.token())
    agent.shift = shift
    agent.start()
    wait_until(lambda: clock(agent)["state"] == state, 30, agent.log())
    wait_until(lambda: running(agent).get("spool_depth"), 30, "nothing is collected meanwhile")
    found = running(agent)
    # Nothing was let pass for the clock's sake: no connection, although the server is honest.
    assert not found["connected"]
    assert "clock" in found["trouble"]
    assert not fleet.shown(agent)["device"]["connected"]
    assert "Traceback" not in agent.log()
    agent.stop()
    agent.shift = ""
    agent.start()
    assert fleet.wait_for_report(agent)
    wait_until(lambda: clock(agent)["state"] == "ok", 30, "it still says so")


@pytest.mark.parametrize("shift", YEARS)
def test_enrolling_with_the_clock_five_years_out(fleet, agent, shift):
    token = fleet.alice.token()
    agent.shift = shift
    said = agent.enroll(token, ok=False)
    assert "clock" in said
    assert "Traceback" not in said
    agent.shift = ""
    agent.enroll(token)


def has_issue(fleet, agent, name):
    issues = fleet.alice.json("issue", "list", agent.device_id())["issues"]
    return name in {issue["name"] for issue in issues}


@pytest.mark.parametrize("days", [-1826, 1826])
def test_agent_five_years_out_while_tls_is_not(fleet, agent, days):
    """Reports come in, dated as the device says, and the server opens the issue about it."""
    agent.enroll(fleet.alice.token())
    agent.code = SHIFTED.replace("DAYS", str(days))
    agent.start()
    shown = fleet.wait_for_report(agent)
    assert clock(agent)["state"] == "wrong"
    assert abs(clock(agent)["skew_seconds"] - days * 86_400) < 300
    skew = int(shown["device"]["clock_skew_ms"])
    assert abs(skew - days * 86_400_000) < 300_000
    # The server looks once a minute, and when it is asked.
    fleet.alice.run("issue", "audit", agent.device_id())
    assert has_issue(fleet, agent, "clock-skew")
    # Its certificate is not renewed out of turn, and serves on.
    identity = agent.folder / "state/identity/certificate.pem"
    before = identity.read_bytes()
    agent.run("collect")
    assert running(agent)["connected"]
    assert identity.read_bytes() == before
    assert "Traceback" not in agent.log()
