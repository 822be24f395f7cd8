"""Every command and option about remote sessions, on a real device."""

import json
import subprocess

from tests.harness import recorder
from tests.harness.process import BIN, environment, wait_until


def live(fleet, alice, device, both, passphrase):
    """Open sessions, copy both ways, read and verify what was recorded."""
    signed = ("--passphrase-file", passphrase)
    session = _shell(fleet, alice, device, signed)
    _copy(fleet, alice, device, signed)
    _read(alice, device, both, session)
    for spelling in ("-o", "--output"):
        _kill(alice, device, signed, spelling)


def _shell(fleet, alice, device, signed):
    _note(alice, "shell", device, *signed, "--", "echo one two", shows="one two\n")
    session = alice.json("session", "list", "--limit", "1")["sessions"][0]["session_id"]
    words = ("--user", "root", "--reason", "to see", "--wait", "--escape", "none")
    words += ("--raw-terminal", "--idle", "5m", "--longest", "1h", "--recording", "kept")
    for terminal in ("-t", "--terminal", "-T", "--no-terminal"):
        _note(alice, "shell", device, *words, terminal, *signed, "--", "true")
    shown = alice.json("device", "show", device)["device"]["key_fingerprint"]
    accepted = ("--accept-key", shown, *signed)
    _note(alice, "shell", device, *accepted, "--", "true")
    key = fleet.folder / "alice.gpg"
    home = alice.folder / "auditor"
    home.mkdir(mode=0o700)
    gpg = ["gpg", "--homedir", str(home), "--batch", "--quiet", "--passphrase", ""]
    made = [*gpg, "--quick-generate-key", "auditor", "default", "default", "never"]
    subprocess.run(made, check=True, timeout=60, capture_output=True)
    done = subprocess.run([*gpg, "--export"], check=True, capture_output=True, timeout=60)
    key.write_bytes(done.stdout)
    subprocess.run(["gpgconf", "--homedir", str(home), "--kill", "all"], check=True, timeout=20)
    _note(alice, "shell", device, "--auditor-key", key, *signed, "--", "echo sealed")
    done = alice.try_run("shell", device, "--moderated", *signed, "--", "true")
    assert done.returncode == 255, done.stderr
    recorder.note([BIN / "penguinctl", "shell", device, "--moderated"])
    return session


def _note(alice, *words, shows=""):
    """Run a session; its standard input ends at once."""
    done = alice.try_run(*words)
    assert (done.returncode, done.stdout[: len(shows)]) == (0, shows), done.stdout + done.stderr


def _copy(fleet, alice, device, signed):
    source, there = fleet.folder / "a file", fleet.folder / "there"
    source.write_bytes(b"content")
    words = ("--user", "root", "--reason", "to see", "--wait", *signed)
    assert "7 bytes" in alice.run("cp", *words, source, f"{device}:{there}")
    back = fleet.folder / "back"
    shown = alice.json("device", "show", device)["device"]["key_fingerprint"]
    words += ("--accept-key", shown)
    alice.run("cp", *words, f"{device}:{there}", back)
    assert back.read_bytes() == b"content"


def _read(alice, device, both, session):
    words = ("--device", device, "--operator", "alice", "--limit", "20")
    listed = both(alice, "session", "list", *words)["sessions"]
    assert session in {one["session_id"] for one in listed}
    assert session in alice.run("session", "list")
    wait_until(lambda: both(alice, "session", "show", session)["complete"], 20, "no recording")
    assert "echo one two" in alice.run("session", "show", session[:20])
    assert both(alice, "session", "verify", session)["good"] is True
    assert "Whole and unchanged" in alice.run("session", "verify", session)
    found = both(alice, "session", "search", session, "o[nx]e", "--regex")["hits"]
    assert [one["line"] for one in found] == ["one two"]
    assert alice.run("session", "export", session, "--text") == "one two\n"
    head = json.loads(alice.run("session", "export", session).splitlines()[0])
    assert head["version"] == 2
    assert "one two" in alice.run("session", "play", session, "--speed", "100", "--pause", "0")
    assert "one two" in alice.run("session", "watch", session)


def _kill(alice, device, signed, spelling):
    line = [str(BIN / "penguinctl"), "shell", device, *map(str, signed), "--", "sleep 600"]
    env = environment(
        HOME=str(alice.folder),
        XDG_CONFIG_HOME=str(alice.folder / "config"),
        GNUPGHOME=str(alice.folder / "gnupg"),
    )
    pipes = {"stdin": subprocess.DEVNULL, "stderr": subprocess.PIPE}
    with subprocess.Popen(line, env=env, **pipes) as process:
        find = ("session", "list", "--open", "--device", device)
        shown = wait_until(
            lambda: [s for s in alice.json(*find)["sessions"] if s["command"].startswith("'sleep")],
            30, "it does not begin",
        )  # fmt: skip
        wait_until(lambda: alice.json(*find)["sessions"][0]["state"] == "running", 20, "it waits")
        words = (shown[0]["session_id"], "--reason", "enough", spelling, "json")
        alice.run("session", "kill", *words)
        said = process.communicate(timeout=30)[1]
    assert (process.returncode, b"enough" in said) == (255, True), said
