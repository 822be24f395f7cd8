"""Every command and option about commands, wipes and orders, on a real device.

Nothing is ever wiped: for real it is ordered for a device that was enrolled and never called, and
called off again.
"""

import json
import os
import pwd
import subprocess

from tests.commands import sessions
from tests.harness import recorder
from tests.harness.operator import Operator
from tests.harness.process import BIN, wait_until

_STILL_WAITING = 8
_ME = pwd.getpwuid(os.geteuid()).pw_name


def waiting(operator, *words):
    """Run a command that ends with others still waited for; that counts as done."""
    done = operator.try_run(*words)
    assert done.returncode == _STILL_WAITING, done.stdout + done.stderr
    recorder.note([BIN / "penguinctl", *words])
    return done.stdout, done.stderr


def on_a_device(fleet, alice, device, both, passphrase):
    """Run, read, call off; say what a wipe would do; open sessions."""
    signed = ("--yes", "--passphrase-file", passphrase)
    show = ("device", "show", device)
    wait_until(lambda: alice.json(*show)["device"]["connected"], 60, "the device stays away")
    _run(fleet, alice, device, both, signed)
    _call_off(alice, device, both, signed)
    _plan(alice, device, both, signed)
    sessions.live(fleet, alice, device, both, passphrase)


def between_operators(fleet, alice, both, passphrase):
    """Withdraw a command; order a wipe, approve it and call it off."""
    signed = ("--yes", "--passphrase-file", passphrase)
    spare = fleet.device(plugins=fleet.plugins(nothing="#!/bin/sh\necho {}\n"))
    spare.enroll(alice.token())
    away = spare.device_id()
    _look(alice, away, both, signed)
    carol = _carol(fleet, alice, passphrase)
    _agree(alice, carol, away, both, signed)


def _run(fleet, alice, device, both, signed):
    assert alice.run("run", device, *signed, "--", "echo one; echo two >&2") == "one\n"
    script = fleet.folder / "show-me.sh"
    script.write_text('#!/bin/sh\nid -un\necho "$1"\nexit 3\n')
    words = ("--file", script, "--name", "show", "--user", _ME, "--timeout", "30s", "--ttl", "1h")
    words += ("--reason", "to see", "--output-limit", "1", "--wait", *signed, "--", "a b")
    failed = alice.try_run("run", device, *words)
    assert (failed.returncode, failed.stdout) == (1, f"{_ME}\na b\n"), failed.stderr
    recorder.note([BIN / "penguinctl", "run", device, *words])
    for spelling in ("-o", "--output"):
        value = json.loads(alice.run("run", device, *signed, spelling, "json", "--", "printf", "x"))
        assert [one["stdout"] for one in value["targets"]] == ["x"]
    order_id = value["order"]["order_id"]
    assert alice.run("command", "output", order_id, device) == "x"
    assert both(alice, "command", "output", order_id, "--stdout")["outputs"][0]["stdout"] == "x"
    assert alice.run("command", "output", order_id[:20], "--stderr") == ""
    for words in (("command", "show", order_id), ("order", "show", order_id)):
        (target,) = both(alice, *words)["targets"]
        assert (target["state"], target["vouched_by_device"]) == ("succeeded", True)
        assert "yes" in alice.run(*words)


def _call_off(alice, device, both, signed):
    for spelling in ("-o", "--output"):
        words = ("run", device, "--detach", *signed, "-o", "json", "--", "sleep", "600")
        order_id = json.loads(alice.run(*words))["order_id"]
        find = ("command", "list", "--device", device, "--state", "running", "--limit", "1")
        wait_until(lambda find=find: alice.json(*find)["orders"], 30, "it does not run")
        assert both(alice, *find)["orders"][0]["order_id"] == order_id
        assert "sleep" in alice.run("command", "list")
        words = ("command", "cancel", order_id, device, "--reason", "no need", *signed)
        (target,) = json.loads(alice.run(*words, spelling, "json"))["targets"]
        assert target["state"] == "cancelled", target


def _look(alice, away, both, signed):
    told = waiting(alice, "run", away, *signed, "--", "true")[1]
    assert "1 device is offline" in told
    find = ("order", "list", "--kind", "command", "--device", away, "--state", "queued")
    (listed,) = both(alice, *find, "--limit", "5")["orders"]
    withdrawn = both(alice, "order", "withdraw", listed["order_id"], "--reason", "not any more")
    assert withdrawn["withdrawn_reason"] == "not any more"


def _plan(alice, device, both, signed):
    words = ("--level", "erase-homes", "--ttl", "1h", "--reason", "to see", "--wait", *signed)
    assert "nothing was done" in alice.run("wipe", device, *signed)
    planned = both(alice, "wipe", "device", device, *words)
    assert (planned["state"], planned["vouched_by_device"]) == ("succeeded", True), planned
    assert planned["details"]["plan"]["level"] == "erase-homes"
    assert both(alice, "wipe", "status", device)["kind"] == "wipe-plan"


def _carol(fleet, alice, passphrase):
    """Return a second operator, who may sign."""
    invitation = fleet.invite("carol", "--role", "admin")
    carol = Operator(fleet.folder / "o-carol")
    fleet.operators.append(carol)
    pinned = alice.json("server", "status")["pinned_trust_hash"]
    home = carol.folder / "gnupg"
    words = ("--invitation-file", invitation, "--gpg-home", home, "--trust-hash", pinned)
    carol.run("init", *words, "--passphrase-file", passphrase)
    export = ["gpg", "--homedir", home, "--export", "--export-options", "export-minimal"]
    key = fleet.folder / "carol.gpg"
    key.write_bytes(subprocess.run(export, check=True, capture_output=True, timeout=60).stdout)
    signed = ("--yes", "--passphrase-file", passphrase)
    alice.run("trust", "add", "carol", "--key-file", key, *signed)
    return carol


def _agree(alice, carol, away, both, signed):
    named = f"{away} {alice.json('device', 'show', away)['device']['hostname']}"
    for spelling in ("-o", "--output"):
        words = ("--for-real", "--no-reboot", "--confirm", named, *signed[1:])
        value = json.loads(waiting(alice, "wipe", "device", away, *words, spelling, "json")[0])
        order_id = value["order_id"]
        listed = carol.json("order", "list", "--waiting")["orders"]
        assert [one["order_id"] for one in listed] == [order_id]
        approve = ("order", "approve", order_id, *signed, "--confirm", named)
        approved = json.loads(carol.run(*approve, spelling, "json"))
        assert (approved["signed_by"], approved["missing_signatures"]) == (["alice", "carol"], 0)
        cancelled = ("wipe", "cancel", away, "--reason", "was found", *signed)
        (target,) = json.loads(alice.run(*cancelled, spelling, "json"))["targets"]
        assert target["state"] == "cancelled"
