"""What every list and every show can do, through the installed command: columns, order, watch."""

import csv
import io
import json
import shutil
import signal
import subprocess

from tests.harness import recorder
from tests.harness.process import BIN, environment

# What commands need to have something to show; what stands in braces is filled in.
ARGUMENTS = {
    "check show": ["firewall-disabled"],
    "command show": ["{order}"],
    "device history": ["{device}"],
    "device show": ["{device}"],
    "issue show": ["{issue}"],
    "order show": ["{order}"],
    "session show": ["{session}"],
    "wipe status": ["{device}"],
}


def commands(tree, option):
    """Return the words of each command that has an option."""
    found = {command for command, each in recorder.demanded(tree) if each == option}
    return sorted(command.partition(" ")[2] for command in found)


def see_all(tree, alice, device):
    """Choose columns, order and format of every list, and watch all that can be watched."""
    issue = alice.json("issue", "list", "--closed")["issues"][0]["issue_id"]
    order = alice.json("command", "list")["orders"][0]["order_id"]
    session = alice.json("session", "list")["sessions"][0]["session_id"]
    known = {"device": device, "issue": issue, "order": order, "session": session}
    words = {
        name: [*name.split(), *(w.format(**known) for w in more)]
        for name, more in ((name, ARGUMENTS.get(name, [])) for name in commands(tree, "--watch"))
    }
    for name in commands(tree, "--columns"):
        line = words.get(name, name.split())
        _columns(alice, [*line, "--history"] if name == "server status" else line)
    for line in words.values():
        _watch(alice, line)


def _columns(alice, words):
    header = next(csv.reader(io.StringIO(alice.run(*words, "-o", "csv"), newline="")))
    field = header[1]
    chosen = alice.run(*words, "--columns", field, "--sort", f"-{field}", "-o", "csv")
    assert chosen.splitlines()[0] == field, words


def _watch(alice, words):
    line = [str(BIN / "penguinctl"), *words, "-o", "json", "--watch=1"]
    env = environment(
        HOME=str(alice.folder),
        XDG_CONFIG_HOME=str(alice.folder / "config"),
        GNUPGHOME=str(alice.folder / "gnupg"),
    )
    process = subprocess.Popen(
        line, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=env
    )
    try:
        said = "".join(iter(process.stdout.readline, "}\n")) + "}"
        assert isinstance(json.loads(said), dict)
    finally:
        process.send_signal(signal.SIGINT)
        process.communicate(timeout=30)
    assert process.returncode == 0, words
    recorder.note(line)


def keep_profiles(alice, fleet, both):
    """Make a second profile, use it, and remove it; reach the server by another address."""
    profile = ("--profile", "work")
    alice.run(*profile, "init", "--invitation-file", fleet.invite("erin", "--role", "viewer"),
              "--gpg-home", alice.folder / "erin-gnupg", "--trust-hash",
              alice.json("server", "status")["pinned_trust_hash"])  # fmt: skip
    assert [one["name"] for one in both(alice, "profile", "list")["profiles"]] == [
        "default",
        "work",
    ]
    assert "erin" in alice.run("profile", "list")
    assert both(alice, "profile", "use", "work") == {"name": "work"}
    assert both(alice, "profile", "show")["operator"] == "erin"
    assert "erin" in alice.run("--no-pager", "profile", "show")
    alice.run("profile", "use", "default")
    port = alice.json("profile", "show")["server"].rpartition(":")[2]
    for detour in ("127.0.0.1", f"127.0.0.1:{port}"):
        status = json.loads(alice.run("--server", detour, "server", "status", "-o", "json"))
        assert status["self"]["name"] == "alice"
    profiles = alice.folder / "config" / "penguinctl" / "profiles"
    shutil.copytree(profiles / "work", profiles / "spare")
    for name, spelling in (("work", "-o"), ("spare", "--output")):
        removed = json.loads(alice.run("profile", "remove", name, "--yes", spelling, "json"))
        assert removed == {"name": name, "signing_key_home": None}
        assert not (profiles / name).exists()
    assert "There are: default" in alice.run("profile", "remove", "work", "--yes", status=3)


def complete(alice):
    """Print the scripts of all shells."""
    for shell in ("bash", "zsh", "fish"):
        assert "_penguinctl_completion" in alice.run("completion", shell)
