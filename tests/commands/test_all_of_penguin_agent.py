"""Every command and every option of penguin-agent, against a real server.

The last test holds what ran against what there is, so the tests of this module belong together.
"""

import json
from concurrent.futures import ThreadPoolExecutor

import pytest

from penguin_agent.cli import parser
from tests.commands.conftest import FIREWALL
from tests.harness import recorder
from tests.harness.process import wait_until

pytestmark = pytest.mark.timeout(180)
HELP = sorted(use for use in recorder.demanded(parser()) if use[1] in {"-h", "--help"})


def both(agent, *words):
    """Run a command with both spellings of its option; it answers the same. Return the answer."""
    short, long = (json.loads(agent.run(*words, s, "json")) for s in ("-o", "--output"))
    assert set(short) == set(long)
    return short


@pytest.mark.parametrize(("command", "spelling"), HELP)
def test_help(agent, command, spelling):
    assert agent.run(*command.split()[1:], spelling).startswith(f"usage: {command}")


def test_version(agent):
    assert agent.run("--version").startswith("penguin-agent, version ")


def test_status_of_a_running_agent(agent):
    status = both(agent, "status")
    assert (status["enrolled"], status["connected"]) == (True, True)
    assert status["device_id"] in agent.run("status")
    for spelling in ("-o", "--output"):
        assert "last accepted report" in agent.run("status", spelling, "text")


def test_collect_shows_what_is_sent(fleet, agent):
    shown = both(agent, "collect")["outputs"]
    sent = fleet.shown(agent)["outputs"]
    assert {output["name"] for output in shown} == {output["name"] for output in sent}
    assert '"status": "off"' in agent.run("collect", "firewall")
    assert agent.try_run("collect", "no-such").returncode == 1


def test_issues_are_those_of_the_server(agent):
    wait_until(lambda: both(agent, "issues")["verdicts"], 30, "no verdict arrives")
    assert "firewall-disabled" in agent.run("issues")


def test_history_lists_orders(agent):
    assert both(agent, "history") == {"orders": []}
    assert "Nobody has ordered anything" in agent.run("history", "-o", "text")
    assert agent.try_run("history", "01J0").returncode == 1


def test_sessions_and_consent(agent):
    assert both(agent, "sessions") == {"sessions": [], "waiting_for_consent": []}
    assert agent.run("sessions", "-o", "text")
    agent.run("sessions", "--end", "all")
    assert agent.try_run("consent", "no").returncode != 0


def test_a_session_begins_once_somebody_agreed(fleet, alice):
    settings = "[shell]\nrequire_consent = true\n"
    plugins = fleet.plugins(firewall=FIREWALL)
    device = fleet.device(plugins=plugins, settings=settings, token=alice.token())
    fleet.wait_for_report(device)
    for answer, status in (("no", 255), ("yes", 7)):
        with ThreadPoolExecutor(1) as pool:
            words = ("shell", device.device_id(), "--reason", "to see", "--", "exit 7")
            opened = pool.submit(alice.try_run, *words)
            asked = lambda: both(device, "sessions")["waiting_for_consent"]  # noqa: E731
            (question,) = wait_until(asked, 30, "nobody is asked")
            assert (question["operator"], question["reason"]) == ("alice", "to see")
            device.run("consent", answer)
            assert opened.result(60).returncode == status


def test_enroll_waits_for_approval_and_unenroll_forgets(fleet, alice, tmp_path):
    device = fleet.device(plugins=fleet.plugins(firewall=FIREWALL))
    line = alice.token("--approve")
    token = tmp_path / "token"
    token.write_text(line)
    token.chmod(0o600)
    applied = json.loads(device.run("enroll", "--token-file", token, "-o", "json"))
    assert applied["enrolled"] is False
    assert not token.exists()
    alice.run("device", "approve", applied["device_id"], "--yes")
    words = ("enroll", "--wait", "--output", "json")
    waited = json.loads(device.run(*words, standard_input=line + "\n"))
    assert waited == {**applied, "enrolled": True}
    assert "enrolled no more" in device.run("unenroll")
    assert device.status()["enrolled"] is False


def test_settings_may_be_named_by_a_relative_path(fleet, alice):
    device = fleet.device(plugins=fleet.plugins(firewall=FIREWALL))
    device.config = device.config.relative_to("/")
    device.enroll(alice.token())
    device.start()
    fleet.wait_for_report(device)


def test_all_that_there_is_was_run():
    missing = recorder.demanded(parser()) - recorder.used(parser())
    assert not missing, f"no test of this module runs: {sorted(missing)}"
