"""A server is lost with all its state; from one backup its fleet goes on by itself."""

from __future__ import annotations

import shutil
import subprocess

import pymongo
import pytest

from penguind.mongod.paths import socket_uri
from tests.harness.fleet import Fleet
from tests.harness.process import wait_until

pytestmark = pytest.mark.timeout(180)
OFF, ON = '{"status": "off"}', '{"status": "on"}'


def collected(fleet, agent, value):
    """Have the device collect until the server holds this value."""

    def stored():
        fleet.alice.try_run("device", "collect", agent.device_id())
        return [one["new"] for one in history(fleet, agent)][:1] == [value]

    agent.process.wait_until(stored, 30, f"{value} is lost\n{fleet.server.log()[-3000:]}")


def history(fleet, agent):
    words = ("device", "history", agent.device_id(), "--key", "plugins.firewall")
    return fleet.alice.json(*words)["entries"]


def facts(fleet):
    """Return all that was acknowledged, as sets of ids."""
    alice = fleet.alice
    issues = alice.json("issue", "list")["issues"]
    issues += alice.json("issue", "list", "--closed")["issues"]
    return {
        "issues": {one["issue_id"] for one in issues},
        "tokens": {one["token_id"] for one in alice.json("token", "list")["tokens"]},
        "labels": {
            (one["device_id"], *one["labels"]) for one in alice.json("device", "list")["devices"]
        },
        "trail": {
            (one["device_id"], one["key"], str(one["new"]), one["received_time"])
            for one in alice.json("trail", "--limit", "1000")["entries"]
        },
        "ledger": {
            (one["number"], one["hash"])
            for one in alice.json("ledger", "list", "--after", "0")["rows"]
        },
    }


def renew_everything(fleet, agents):
    """Have every device renew its certificate, with a new key, as all do every few days."""
    before = {agent: agent.status()["certificate_until"] for agent in agents}
    uri = socket_uri(fleet.server.folder / "state")
    with pymongo.MongoClient(uri) as client:
        client["penguindome"]["devices"].update_many({}, {"$set": {"serials": []}})

    def renewed():
        for agent in agents:
            fleet.alice.try_run("device", "collect", agent.device_id())
        return all(agent.status()["certificate_until"] != before[agent] for agent in agents)

    wait_until(
        renewed,
        60,
        "a device keeps a certificate that the server does not know",
    )


def burn_down(fleet):
    """Kill the server and delete all that it had."""
    fleet.server.process.kill()
    fleet.server.process = None
    shutil.rmtree(fleet.server.folder / "state")
    fleet.server.config.unlink()


@pytest.fixture
def fleet(monkeypatch):
    # These stories lose the folder of penguind's own database with the server.
    monkeypatch.delenv("PENGUIND_TEST_URI", raising=False)
    with Fleet() as running:
        yield running


def grown(fleet, firewall):
    """Return two devices of a fleet that has a history."""
    firewall.write_text(ON)
    plugins = fleet.plugins(firewall=f"#!/bin/sh\nexec cat {firewall}\n")
    token = fleet.alice.token("--uses", "9", "--label", "sales")
    agents = [fleet.device(plugins=plugins, token=token) for _ in range(2)]
    for agent in agents:
        fleet.wait_for_report(agent)
    firewall.write_text(OFF)
    for agent in agents:
        collected(fleet, agent, "off")
    fleet.alice.run("device", "label", agents[0].device_id(), "--add", "board")
    fleet.alice.run("ledger", "verify")
    return agents


def goes_on(fleet, agents, firewall):
    """Have things happen that no backup knows: reports, administration, new keys."""
    firewall.write_text(ON)
    for agent in agents:
        collected(fleet, agent, "on")
    fleet.alice.token("--note", "after the backup")
    fleet.alice.run("ledger", "verify")
    renew_everything(fleet, agents)


def test_a_fleet_outlives_its_server(fleet):
    alice, firewall = fleet.alice, fleet.folder / "firewall.json"
    agents = grown(fleet, firewall)
    before = facts(fleet)
    assert all(before.values())
    backup = fleet.server.folder / "fleet.backup"
    fleet.server.run("backup", backup)
    goes_on(fleet, agents, firewall)
    burn_down(fleet)

    fleet.server.run("restore", backup, "--yes")
    fleet.server.start()
    for agent in agents:
        collected(fleet, agent, "on")
    wait_until(lambda: len(connected(alice)) == 2, 60, "a device does not come back")
    after = facts(fleet)
    for kind, known in before.items():
        assert known <= after[kind], kind
    assert fleet.server.log().count("over, issued after the backup") == len(agents)
    names = {one["name"] for one in alice.json("issue", "list")["issues"]}
    assert "clone-suspected" not in names
    assert {one["state"] for one in alice.json("device", "list")["devices"]} == {"active"}
    remembers_a_newer_ledger(alice, before["ledger"])


def remembers_a_newer_ledger(alice, before):
    """Check that an operator is told that, and why, the ledger went back."""
    said = alice.run("ledger", "verify", status=7)
    assert "says that the server was restored" in said
    assert "--accept-restore" in said
    alice.run("ledger", "verify", "--accept-restore")
    rows = alice.json("ledger", "list", "--after", "0")["rows"]
    restored = [row for row in rows if row["action"] == "server.restore"]
    assert [row["details"]["epoch"] for row in restored] == [1]
    assert max(number for number, _ in before) < restored[0]["number"]


def connected(alice):
    return [one for one in alice.json("device", "list")["devices"] if one.get("connected")]


def owner(path):
    return path.stat().st_uid


def test_nothing_is_replaced_unasked_and_nothing_is_deleted(fleet):
    backup = fleet.server.folder / "fleet.backup"
    fleet.server.run("backup", backup)
    refused = fleet.server.try_run("restore", backup, "--yes")
    assert refused.returncode == 1
    assert "authority" in refused.stderr
    assert (
        "a server runs here" in fleet.server.try_run("restore", backup, "--yes", "--replace").stderr
    )
    fleet.server.stop()
    key = (fleet.server.folder / "state/authority/device-ca-key.pem").read_bytes()
    fleet.server.run("restore", backup, "--yes", "--replace")
    (aside,) = (fleet.server.folder / "state").glob(".before-restore-*")
    assert (aside / "authority/device-ca-key.pem").read_bytes() == key
    assert (aside / "mongo/data").is_dir()
    assert owner(fleet.server.folder / "state/authority") == owner(aside)
    fleet.server.start()
    assert fleet.alice.json("server", "status")


def restored(server):
    state = server.folder / "state"
    return (state / "authority/anchor.pem").exists() and not (state / ".restoring").exists()


def test_a_restore_killed_at_any_time_is_ended_by_another(fleet):
    backup = fleet.server.folder / "fleet.backup"
    fleet.server.run("backup", backup)
    burn_down(fleet)
    words = fleet.server.words("restore", backup, "--yes")
    for seconds in (0.5, 0.9, 1.3, 1.7, 2.1):
        with subprocess.Popen(
            words, stderr=subprocess.DEVNULL, env=fleet.server._environment()
        ) as running:
            try:
                running.wait(seconds)
            except subprocess.TimeoutExpired:
                running.kill()
        # Nothing can be started from what is half-done.
        done = fleet.server.try_run("check-config").returncode == 0
        assert done is restored(fleet.server)
        if done:
            break
    else:
        fleet.server.run("restore", backup, "--yes")
    assert not (fleet.server.folder / "state/.restoring").exists()
    fleet.server.start()
    assert fleet.alice.json("server", "status")
