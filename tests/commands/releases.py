"""The life of releases and patches, through the installed command.

A device that was enrolled and never called is all of the open rings, so that the one that other
tests look at keeps its plugins.
"""

import json
import signal
import subprocess

from tests.harness import recorder
from tests.harness.process import BIN, environment

_STILL_WAITING = 8


def live(fleet, alice, tmp_path, both, passphrase):
    """Build, sign, publish, look at, steer and take back; put, remove and call off."""
    spare = fleet.device(plugins=fleet.plugins(nothing="#!/bin/sh\necho {}\n"))
    spare.enroll(alice.token("--label", "canary"))
    signed = ("--yes", "--passphrase-file", passphrase)
    _publish(alice, tmp_path, both, signed)
    _look(alice, tmp_path, both)
    _steer(alice, both)
    _go_back(alice, tmp_path / "tree", both, signed)
    _patch(alice, tmp_path, both, signed, spare.device_id())


def _tree(tmp_path):
    for name in ("plugins/mood", "commands/tidy"):
        path = tmp_path / "tree" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("#!/bin/sh\necho '{}'\n")
        path.chmod(0o755)
    return tmp_path / "tree"


def _publish(alice, tmp_path, both, signed):
    tree = _tree(tmp_path)
    wishes = ("--label", "spring", "--collect-interval", "10m", "--submit-interval", "1h")
    wishes += ("--interval", "mood=1h", "--disable", "sshd")
    files = [tmp_path / name for name in ("a.release", "b.release")]
    hashes = {
        alice.run("release", "build", tree, spelling, file, *wishes)
        for spelling, file in zip(("-o", "--output-file"), files, strict=True)
    }
    assert len(hashes) == 1
    assert files[0].read_bytes() == files[1].read_bytes()
    alice.run("release", "build", "--shipped", "-o", tmp_path / "shipped.release")
    words = ("--number", "7", "--ttl", "60d", "--reason", "for the walk")
    said = alice.run("release", "sign", files[0], *words, *signed)
    assert said == "Release 7 has 1 signatures.\n"
    again = both(alice, "release", "sign", files[0], *signed)
    assert again == {"number": 7, "signed_by": ["alice"], "missing_signatures": 0}
    rings = tuple(
        word
        for ring in ("canary=label:canary", "late=label:canary,name:*", "last=label:canary")
        for word in ("--ring", ring)
    )
    published = both(alice, "release", "publish", files[0], *rings, *signed)
    assert (published["number"], published["state"]) == (7, "rolling")
    rollout = (*rings, "--automatic", "--soak", "2d", "--healthy", "80", "--ttl", "90d")
    words = ("release", "publish", tree, "--shipped", *wishes, *rollout, "--reason", "again")
    second = json.loads(alice.run(*words, *signed, "-o", "json"))
    assert second["number"] == 8
    assert second["plan"]["soak_seconds"] == 2 * 86_400


def _look(alice, tmp_path, both):
    listed = both(alice, "release", "list", "--limit", "5")["releases"]
    assert [(one["number"], one["state"]) for one in listed] == [(8, "rolling"), (7, "superseded")]
    assert "spring" in alice.run("release", "list")
    shown = both(alice, "release", "show", "8")
    assert [one["open"] for one in shown["rings"]] == [True, False, False, False]
    assert "label:canary" in alice.run("release", "show")
    changes = both(alice, "release", "diff", "7", "8", "--content")["changes"]
    assert {"added"} == {one["change"] for one in changes}
    assert "plugins/os_info" in alice.run("release", "diff", tmp_path / "tree")


def _steer(alice, both):
    for spelling in ("-o", "--output"):
        words = ("--reason", "to see", spelling, "json")
        for action, state in (("halt", "halted"), ("resume", "rolling")):
            assert json.loads(alice.run("release", action, "8", *words))["state"] == state
    for ring, number, spelling in ((2, "7", "-o"), (3, "8", "--output")):
        words = ("release", "advance", "8", "--reason", "well", spelling, "json")
        assert json.loads(alice.run(*words))["open_rings"] == ring
        words = ("release", "withdraw", number, "--reason", "no more", "--yes", spelling, "json")
        withdrawn = json.loads(alice.run(*words))
        assert (withdrawn["state"], withdrawn["reason"]) == ("withdrawn", "no more")


def _go_back(alice, tree, both, signed):
    rollout = ("--ring", "canary=label:canary", "--automatic", "--soak", "1d", "--healthy", "90")
    rollout += ("--ttl", "90d", "--reason", "back")
    found = both(alice, "release", "rollback", "7", *rollout, *signed)
    assert found["label"] == "spring"
    _follow(alice, "release", "rollback", "7", *rollout, *signed)
    _follow(alice, "release", "publish", tree, *rollout, *signed)


def _follow(alice, *words):
    """Follow a release until it was told once, and leave it to itself by ctrl-C."""
    line = [str(BIN / "penguinctl"), *map(str, words), "--follow"]
    env = environment(
        HOME=str(alice.folder),
        XDG_CONFIG_HOME=str(alice.folder / "config"),
        GNUPGHOME=str(alice.folder / "gnupg"),
    )
    process = subprocess.Popen(line, stderr=subprocess.PIPE, text=True, env=env)
    try:
        told = next(text for text in process.stderr if text.startswith("  canary:"))
        assert "0 of 1 healthy" in told
    finally:
        process.send_signal(signal.SIGINT)
        process.communicate(timeout=30)
    assert process.returncode == _STILL_WAITING
    recorder.note(line)


def _patch(alice, tmp_path, both, signed, device):
    source = tmp_path / "tree/plugins/mood"
    for name, spelling in (("a", "-o"), ("b", "--output")):
        words = ("patch", "put", f"plugins/{name}", source, device, "--mode", "0755", "--ttl", "2d")
        words += ("--reason", "to see", *signed, spelling, "json")
        assert json.loads(alice.run(*words))["kind"] == "patch"
        words = ("patch", "rm", f"data/{name}", device, "--ttl", "2d", "--reason", "to see")
        assert json.loads(alice.run(*words, *signed, spelling, "json"))["name"] == f"data/{name}"
    assert len(both(alice, "patch", "list", device, "--all")["patches"]) == 4
    assert "remove data/a" in alice.run("patch", "list")
    for name, spelling in (("plugins/a", "-o"), ("data/a", "--output")):
        words = ("patch", "cancel", name, device, "--reason", "seen", *signed, spelling, "json")
        assert json.loads(alice.run(*words))["devices"][0]["device_id"] == device
    assert len(alice.json("patch", "list")["patches"]) == 2
