"""Every command and every option of penguinctl, run against a real server and a real device.

The last test holds what ran against what there is, so the tests of this module belong together.
"""

import json
import re
import subprocess

import pytest

from penguinctl.cli import cli
from penguindome.tokens import decode_token
from tests.commands import alerts, operators, orders, parameters, quiet, releases, trust, views
from tests.harness import recorder
from tests.harness.operator import Operator
from tests.harness.process import wait_until

pytestmark = pytest.mark.timeout(180)
HELP = sorted(use for use in recorder.demanded(cli) if use[1] in {"-h", "--help"})


def both(alice, *words):
    """Run a command with both spellings of its option; it answers the same. Return the answer."""
    short, long = (json.loads(alice.run(*words, s, "json")) for s in ("-o", "--output"))
    assert set(short) == set(long)
    return short


@pytest.mark.parametrize(("command", "spelling"), HELP)
def test_help(alice, command, spelling):
    said = alice.run(*command.split()[1:], spelling)
    assert said.startswith(f"Usage: {command}")


def test_version(alice):
    assert alice.run("--version").startswith("penguinctl, version ")


def test_tokens(alice, tmp_path):
    words = ("--uses", "3", "--ttl", "90m", "--cidr", "127.0.0.0/8", "--approve")
    words += ("--label", "lab", "--note", "for the lab")
    decode_token(alice.run("token", "create", *words))
    made = both(alice, "token", "create", "--output-file", tmp_path / "token")
    assert made["token"] is None
    decode_token((tmp_path / "token").read_text())
    (listed,) = [t for t in both(alice, "token", "list")["tokens"] if t["note"]]
    assert (listed["max_uses"], listed["labels"], listed["cidrs"]) == (3, ["lab"], ["127.0.0.0/8"])
    assert "for the lab" in alice.run("token", "list")
    revoked = both(alice, "token", "revoke", listed["token_id"])
    assert revoked == {"token_id": listed["token_id"], "state": "revoked"}


def test_devices_are_shown(alice, agent):
    device = agent.device_id()
    (listed,) = both(alice, "device", "list", "label:sales", "--state", "active")["devices"]
    assert listed["device_id"] == device
    assert device in alice.run("device", "list")
    shown = both(alice, "device", "show", device, "--plugin", "firewall")
    assert [output["value"] for output in shown["outputs"]] == [{"status": "off"}]
    assert '"status": "off"' in alice.run("device", "show", device, "--plugin", "firewall")
    words = (device, "--since", "1h", "--key", "plugins", "--limit", "5")
    alice.run("device", "collect", device)
    labelled = both(alice, "device", "label", device, "--add", "lab", "--remove", "sales")
    assert labelled["devices"][0]["labels"] == ["lab"]
    collected = both(alice, "device", "collect", "label:lab", "--plugin", "firewall")
    assert collected["devices"][0]["delivered"] is True
    assert alice.json("device", "history", *words)["entries"] == []


def test_trail_and_history(fleet, alice, agent):
    device = agent.device_id()
    agent.add_local("mood", '#!/bin/sh\necho \'{"mood": "good"}\'\n')
    alice.run("device", "collect", device)
    wait_until(
        lambda: alice.json("trail", "--key", "plugins.mood")["entries"], 30, "no change arrives"
    )
    words = ("--since", "1h", "--key", "plugins.mood", "--limit", "5")
    entries = both(alice, "device", "history", device, *words)["entries"]
    assert entries == both(alice, "trail", "name:*", *words)["entries"]
    assert (entries[0]["type"], entries[0]["new"]) in [
        ("add", {"mood": "good"}),
        ("add", "good"),
    ]
    assert "plugins.mood" in alice.run("trail")
    assert "plugins.mood" in alice.run("device", "history", device)


def test_issues(alice, agent):
    device = agent.device_id()
    audited = both(alice, "issue", "audit", device, "--no-update-recent")
    assert audited["devices"] == 1
    assert "Devices judged: 1;" in alice.run("issue", "audit")
    (listed,) = both(alice, "issue", "list", device, "--name", "firewall-*")["issues"]
    shown = both(alice, "issue", "show", listed["issue_id"])["issue"]
    assert shown["evidence"]
    assert listed["summary"] in alice.run("issue", "show", listed["issue_id"])
    quiet.live(alice, device, listed["issue_id"], both)
    words = ("--name", "fan-noisy", "--severity", "low", "--reason", "it rattles")
    opened = both(alice, "issue", "open", device, *words)["issues"]
    assert (opened[0]["name"], opened[0]["severity"]) == ("fan-noisy", "low")
    words = ("--all", "--name", "fan-noisy", "--reason", "repaired", "--output", "json")
    assert json.loads(alice.run("issue", "close", *words))["closed"][0]["state"] == "closed"
    assert alice.json("issue", "close", listed["issue_id"])["closed"][0]["state"] == "closed"
    assert "fan-noisy" in alice.run("issue", "list", "--closed")


def test_parameters_and_alerts(fleet, alice, agent):
    parameters.live(fleet, alice, agent.device_id(), both)
    alerts.live(fleet, alice, agent.device_id(), both)


def test_checks(fleet, alice, tmp_path):
    assert "firewall-disabled" in {c["name"] for c in both(alice, "check", "list")["checks"]}
    shown = both(alice, "check", "show", "firewall-disabled")
    rule = tmp_path / "firewall-off-here.yaml"
    rule.write_text(shown["check"]["source"].replace("firewall-disabled", "firewall-off-here"))
    tested = both(alice, "check", "test", rule)
    assert tested["verdicts"] == shown["verdicts"]
    assert len(tested["verdicts"]["failing"]) == 1


def test_ledger(alice):
    rows = both(alice, "ledger", "list", "--after", "0", "--limit", "2")["rows"]
    assert [row["number"] for row in rows] == [1, 2]
    head = alice.json("ledger", "head")
    assert head["number"] > 2
    assert both(alice, "ledger", "verify")["verified"] is True
    assert alice.json("ledger", "verify", "--accept-restore")["verified"] is True
    assert json.loads(alice.run("ledger", "head", "--output", "json"))["hash"]


def test_overview(fleet, alice, agent):
    value = both(alice, "overview", agent.device_id(), "--days", "7")
    assert value["devices"] == 1
    page = fleet.folder / "fleet.html"
    alice.run("overview", "--html", page)
    assert "<title>Fleet overview" in page.read_text(encoding="utf-8")
    assert "active" in alice.run("overview")
    # One is taken each quarter of an hour.
    assert len(both(alice, "server", "status", "--history", "--since", "1d")["samples"]) <= 1


def test_server_status(alice, agent):
    state = both(alice, "server", "status")
    assert (state["self"]["name"], state["connected_devices"]) == ("alice", 1)


@pytest.fixture
def passphrase(tmp_path):
    path = tmp_path / "passphrase"
    path.write_text("")
    return path


def test_commands_run_and_wipes_are_planned(fleet, alice, agent, passphrase):
    orders.on_a_device(fleet, alice, agent.device_id(), both, passphrase)


def test_the_certificate_of_an_operator_renews_by_itself(alice):
    profile = alice.folder / "config" / "penguinctl" / "profile.toml"
    before = profile.read_text()
    # As if it had begun long ago, and were in its last third.
    profile.write_text(re.sub("certificate_starts_unix_ms = .*", "", before))
    rows = alice.json("ledger", "list", "--limit", "1")["rows"]
    assert (rows[0]["actor"], rows[0]["action"]) == ("operator/alice", "operator.renew")
    assert profile.read_text() != before
    assert alice.json("ledger", "head")["number"] == rows[0]["number"]


def test_the_trust_document_is_renewed_and_reaches_the_device(alice, agent, passphrase):
    removed = trust.live(alice, passphrase, both)
    newest = agent.folder / "state" / "trust" / f"{removed['version']}.json"
    wait_until(newest.exists, 30, "the device did not fetch the new trust document")


def test_the_trust_document_is_proposed_signed_and_published(alice, passphrase):
    trust.proposals(alice, passphrase, both)


def test_the_servers_anchors_are_signed_in_and_out(fleet, alice, agent, passphrase):
    fleet.server.run("ca", "rotate", "anchor")
    new, old = (row.split()[-1] for row in fleet.server.run("ca", "show").splitlines()[4::2])
    listed = alice.json("trust", "anchors")["anchors"]
    found = [(one["fingerprint"], one["pinned"], one["on_server"]) for one in listed]
    assert found == [(new, False, True), (old, True, True)]
    assert new in alice.run("trust", "anchors")
    words = ("trust", "anchors", "--yes", "--passphrase-file", passphrase)
    wrong = alice.run(*words, "--add-from-server", "--fingerprint", old, status=6)
    assert "not the one that was given" in wrong
    both(alice, *words, "--add-from-server", "--fingerprint", new[:12])
    assert alice.json("trust", "show")["tls_anchors"] == [new, old]
    version = alice.json(*words, "--remove", old[:8])["version"]
    assert alice.json("trust", "show")["tls_anchors"] == [new]
    assert "no device would believe" in alice.run(*words, "--remove", new, status=6)
    newest = agent.folder / "state" / "trust" / f"{version}.json"
    wait_until(newest.exists, 30, "the device did not fetch the new trust document")
    agent.stop()
    agent.start()
    wait_until(lambda: agent.status()["connected"], 30, agent.log())


def test_the_servers_addresses_are_set_and_cleared(fleet, alice, passphrase):
    here = f"localhost:{fleet.server.main_port},{fleet.server.bootstrap_port}"
    signed = ("--passphrase-file", passphrase)
    assert both(alice, "trust", "addresses")["addresses"] == []
    alice.json("trust", "addresses", "--set", here, "--set", "[::1]:1,2", *signed)
    shown = [here, "[::1]:1,2"]
    assert alice.json("trust", "show")["server_addresses"] == shown
    assert alice.run("trust", "addresses").split() == shown
    assert alice.json("trust", "addresses", "--clear", *signed)["addresses"] == []
    assert "no address" in alice.run("trust", "addresses", "--set", "nowhere", *signed, status=2)


def test_devices_come_and_go(fleet, alice, passphrase):
    token = alice.token("--uses", "2", "--approve")
    for spelling in ("-o", "--output"):
        device = fleet.device(plugins=fleet.plugins(nothing="#!/bin/sh\necho {}\n"))
        device.enroll(token)
        name = device.device_id()
        words = ("--yes", spelling, "json")
        signed = ("--reason", "expected", "--passphrase-file", passphrase)
        approved = json.loads(alice.run("device", "approve", name, *signed, *words))
        assert approved["state"] == "active"
        revoked = json.loads(alice.run("device", "revoke", name, "--reason", "stolen", *words))
        assert revoked["state"] == "revoked"
        assert json.loads(alice.run("device", "delete", name, *words))["state"] == "deleted"


def test_devices_are_blocked_and_let_in_again(fleet, alice, agent):
    device = agent.device_id()
    for spelling in ("-o", "--output"):
        words = (spelling, "json")
        blocked = json.loads(alice.run("device", "block", device, "--reason", "in a taxi", *words))
        assert (blocked["state"], blocked["changed"]) == ("blocked", True)
        shown = alice.json("device", "show", device)["device"]
        assert (shown["held_by"], shown["held_reason"]) == ("alice", "in a taxi")
        assert "in a taxi" in alice.run("device", "show", device)
        labelled = alice.json("device", "label", device, "--add", "missing")
        assert "missing" in labelled["devices"][0]["labels"]
        again = json.loads(alice.run("device", "unblock", device, "--reason", "found", *words))
        assert (again["state"], again["changed"]) == ("active", True)
    assert "Was not blocked" in alice.run("device", "unblock", device)
    alice.run("device", "label", device, "--remove", "missing")


def test_operators_are_invited_changed_limited_and_revoked(fleet, alice, tmp_path):
    operators.live(fleet, alice, tmp_path, both)


def test_a_second_operator_brings_a_key(fleet, alice, passphrase):
    invitation = fleet.invite("bob", "--role", "viewer")
    bob = Operator(fleet.folder / "o-bob")
    fleet.operators.append(bob)
    home = bob.folder / "gnupg"
    gpg = ["gpg", "--homedir", home, "--batch", "--quiet"]
    make = ["--passphrase", "", "--quick-generate-key", "bob", "ed25519", "sign", "never"]
    listing = ["--with-colons", "--list-keys"]
    subprocess.run([*gpg, *make], check=True, timeout=60, capture_output=True)
    listed = subprocess.run([*gpg, *listing], check=True, capture_output=True, text=True)
    key = next(line for line in listed.stdout.splitlines() if line.startswith("fpr")).split(":")[9]
    pinned = alice.json("server", "status")["pinned_trust_hash"]
    words = ("--invitation-file", invitation, "--gpg-key", key, "--gpg-home", home)
    words += ("--trust-hash", pinned, "--passphrase-file", passphrase)
    folder = fleet.folder / "bob"
    bob.run("--config-dir", folder, "init", *words)
    status = json.loads(bob.run("--config-dir", folder, "server", "status", "-o", "json"))
    assert (status["self"]["name"], status["self"]["roles"]) == ("bob", ["viewer"])


def test_releases_and_patches(fleet, alice, tmp_path, passphrase):
    releases.live(fleet, alice, tmp_path, both, passphrase)


def test_orders_are_approved_and_withdrawn(fleet, alice, passphrase):
    orders.between_operators(fleet, alice, both, passphrase)


def test_lists_are_arranged_and_answers_watched(alice, agent):
    views.see_all(cli, alice, agent.device_id())


def test_profiles_are_kept_and_shells_served(fleet, alice):
    views.keep_profiles(alice, fleet, both)
    views.complete(alice)


def test_all_that_there_is_was_run():
    missing = recorder.demanded(cli) - recorder.used(cli)
    assert not missing, f"no test of this module runs: {sorted(missing)}"
