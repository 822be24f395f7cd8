"""A device joins, reports, breaks and mends, and the operator sees each step."""

import pytest

from tests.harness.process import wait_until

pytestmark = pytest.mark.timeout(180)


def open_issues(alice, device):
    return {issue["name"] for issue in alice.json("issue", "list", device)["issues"]}


def test_device_joins_breaks_and_mends(fleet, alice, firewall):
    agent = fleet.device(
        plugins=fleet.plugins(firewall=firewall.script), token=alice.token("--label", "sales")
    )
    device = agent.device_id()
    shown = fleet.wait_for_report(agent)
    assert shown["device"]["state"] == "active"
    assert shown["device"]["labels"] == ["sales"]
    assert {"firewall", "agent"} <= {output["name"] for output in shown["outputs"]}
    assert "firewall-disabled" not in open_issues(alice, device)

    firewall.says({"status": "off"})
    alice.run("device", "collect", device)
    wait_until(lambda: "firewall-disabled" in open_issues(alice, device), 30, "no issue opens")
    changed = alice.json("device", "history", device, "--key", "plugins.firewall")["entries"]
    newest = changed[0]
    assert (newest["type"], newest["old"], newest["new"]) == ("change", "on", "off")

    firewall.says({"status": "on"})
    alice.run("device", "collect", device)
    wait_until(lambda: "firewall-disabled" not in open_issues(alice, device), 30, "it stays open")
    closed = alice.json("issue", "list", device, "--closed", "--name", "firewall-disabled")
    (issue,) = closed["issues"]
    events = alice.json("issue", "show", issue["issue_id"])["issue"]["timeline"]
    assert [event["event"] for event in events] == ["opened", "closed"]


def test_user_of_the_device_sees_the_same_issue(fleet, alice, firewall):
    firewall.says({"status": "off"})
    agent = fleet.device(plugins=fleet.plugins(firewall=firewall.script), token=alice.token())
    fleet.wait_for_report(agent)
    wait_until(
        lambda: "firewall-disabled" in agent.run("issues"), 30, "the user is not told of the issue"
    )


def test_device_waits_for_approval(fleet, alice, firewall):
    agent = fleet.device(plugins=fleet.plugins(firewall=firewall.script))
    agent.enroll(alice.token("--approve"))
    (waiting,) = alice.json("device", "list", "--state", "pending")["devices"]
    agent.start()
    assert waiting["key_fingerprint"]
    alice.run("device", "approve", waiting["device_id"], "--yes")
    shown = fleet.wait_for_report(agent)
    assert shown["device"]["device_id"] == waiting["device_id"]
    assert shown["device"]["approved_by"] == "alice"


def test_two_devices_of_the_same_name_are_two(fleet, alice, firewall):
    plugins = fleet.plugins(firewall=firewall.script)
    token = alice.token("--uses", "2", "--label", "twins")
    twins = [fleet.device(plugins=plugins, token=token) for _ in range(2)]
    for agent in twins:
        fleet.wait_for_report(agent)
    listed = alice.json("device", "list", "label:twins")["devices"]
    assert {entry["device_id"] for entry in listed} == {agent.device_id() for agent in twins}
    hostname = listed[0]["hostname"]
    said = alice.run("device", "show", hostname, status=6)
    assert all(agent.device_id() in said for agent in twins)


def test_server_restart_loses_nothing(fleet, alice, firewall):
    agent = fleet.device(plugins=fleet.plugins(firewall=firewall.script), token=alice.token())
    fleet.wait_for_report(agent)
    fleet.server.stop()
    agent.stop()
    firewall.says({"status": "off"})
    agent.start()
    agent.process.wait_until(lambda: agent.status()["spool_depth"], 30, "nothing is spooled")
    fleet.server.start()
    device = agent.device_id()
    wait_until(lambda: "firewall-disabled" in open_issues(alice, device), 60, "the report was lost")
    assert alice.json("ledger", "verify")
