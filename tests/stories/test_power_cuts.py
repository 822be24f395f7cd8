"""Server and device lose their power; nothing that was acknowledged is lost."""

import pytest

from tests.harness.process import wait_until

pytestmark = pytest.mark.timeout(240)


def open_issues(alice, device):
    return {issue["name"] for issue in alice.json("issue", "list", device)["issues"]}


def test_server_and_its_database_are_killed(fleet, alice, firewall):
    firewall.says({"status": "off"})
    agent = fleet.device(plugins=fleet.plugins(firewall=firewall.script), token=alice.token())
    before = fleet.wait_for_report(agent)
    device = agent.device_id()
    wait_until(lambda: "firewall-disabled" in open_issues(alice, device), 30, "no issue opens")
    fleet.server.process.kill()
    fleet.server.start()
    assert fleet.shown(agent)["outputs"] == before["outputs"]
    assert "firewall-disabled" in open_issues(alice, device)
    wait_until(
        lambda: fleet.shown(agent)["device"]["connected"], 60, "the agent does not come back"
    )
    firewall.says({"status": "on"})
    alice.run("device", "collect", device)
    wait_until(lambda: "firewall-disabled" not in open_issues(alice, device), 60, "no report comes")


def test_device_is_killed_and_keeps_its_identity(fleet, alice, firewall):
    agent = fleet.device(plugins=fleet.plugins(firewall=firewall.script), token=alice.token())
    fleet.wait_for_report(agent)
    device = agent.device_id()
    firewall.says({"status": "off"})
    for _ in range(3):
        agent.process.kill()
        agent.start()
    wait_until(lambda: "firewall-disabled" in open_issues(alice, device), 60, "no report comes")
    assert agent.device_id() == device
