"""What is typed without an echo is kept nowhere, and what a device shows acts on nothing."""

from __future__ import annotations

import pathlib
import subprocess
import tempfile

import pytest

from tests.attacks.kit.database import StolenDatabase
from tests.attacks.kit.needles import forms
from tests.attacks.kit.shells import newest
from tests.harness.fleet import Fleet
from tests.harness.process import BIN, wait_until
from tests.stories.shells import at_terminal, device_of, env_of

pytestmark = [pytest.mark.root, pytest.mark.timeout(240)]
SECRET = "Quaint-Walrus-4711"
PLAIN = "Open-Walrus-4712"
RAW = """
import os, sys, termios, tty
before = termios.tcgetattr(0)
tty.setraw(0)
os.write(1, b"raw: ")
text = b""
while not text.endswith(b"\\r"):
    text += os.read(0, 1)
termios.tcsetattr(0, termios.TCSANOW, before)
print(len(text), "typed")
"""
GETPASS = "import getpass; print(len(getpass.getpass()), 'typed')\n"
ASKS = {
    "read -s": "read -s -p 'Pass''word: ' x; echo; echo ${#x} typed",
    "getpass, as sudo and ssh do": "python3 getpw.py",
    "a program in raw mode": "python3 raw.py",
}
HOSTILE = (
    r"printf 'a\033]52;c;b3duZWQ=\007b\033]0;owned\007c\033P+q544e\033\\d\033]8;;http://evil\007e"
    r"\2335n\033[6n\033[cf\033[21tg\302\2335nh\342\200\256\n'"
)
PASSES = b"a\x1b]52;c;b3duZWQ=\x07b\x1b]0;owned\x07c\x1bP+q544e\x1b\\d\x1b]8;;http://evil\x07e"


@pytest.fixture(scope="module")
def fleet():
    with Fleet() as running:
        yield running


@pytest.fixture(scope="module")
def agent(fleet):
    return device_of(fleet)


@pytest.fixture
def folder():
    with tempfile.TemporaryDirectory(prefix="pd") as name:
        yield pathlib.Path(name)


def complete(fleet):
    """Wait for the newest recording; return its session."""
    found = newest(fleet.alice)["session_id"]
    wait_until(lambda: fleet.alice.json("session", "show", found)["complete"], 30, "no recording")
    return found


def export(fleet, session, *words):
    done = subprocess.run(
        [str(BIN / "penguinctl"), "session", "export", session, *words],
        capture_output=True, check=True, timeout=60, env=env_of(fleet.alice), cwd="/",
    )  # fmt: skip
    return done.stdout


def everything(fleet, agent):
    """Return all that server and device keep: files, logs, records."""
    found = {}
    for root in (agent.folder, fleet.server.folder):
        for path in root.rglob("*"):
            if path.is_file():
                found[str(path)] = path.read_bytes()
    database = StolenDatabase(fleet.server.folder / "state")
    found |= dict(database.dump())
    database.close()
    return found


def holding(places, text):
    needles = forms(text.encode())
    return [name for name, data in places.items() if any(one in data for one in needles)]


@pytest.mark.parametrize("how", ASKS)
def test_a_password_is_kept_nowhere(fleet, agent, folder, how):
    (folder / "raw.py").write_text(RAW)
    (folder / "getpw.py").write_text(GETPASS)
    terminal, line = at_terminal(fleet, agent.device_id(), folder=folder)
    with terminal:
        terminal.see("here>")
        terminal.line(f"{line}; echo status $?")
        wait_until(lambda: newest_runs(fleet), 30, "no session")
        # What is waited for stands in no typed line: a terminal shows those before anybody reads.
        terminal.line(f"PS1='far''> '; cd {folder}; clear")
        terminal.see("far>")
        terminal.line(f"echo {PLAIN}")
        terminal.line(f"clear; {ASKS[how]}")
        terminal.see("raw:" if "raw" in how else "assword:")
        terminal.line(SECRET)
        terminal.see(f"{len(SECRET) + ('raw' in how)} typed")
        terminal.line("exit 0")
        terminal.see("status 0")
    session = complete(fleet)
    recorded = export(fleet, session, "--text")
    # The control: what is echoed is shown, recorded, and found where it is looked for.
    assert PLAIN.encode() in recorded
    assert SECRET.encode() not in recorded
    places = everything(fleet, agent)
    assert holding(places, PLAIN)
    assert holding(places, SECRET) == []


def newest_runs(fleet):
    listed = fleet.alice.json("session", "list", "--limit", "1")["sessions"]
    return listed and listed[0]["state"] == "running"


def test_what_a_device_shows_does_nothing_to_the_operators_terminal(fleet, agent, folder):
    script = folder / "hostile.sh"
    script.write_text(HOSTILE + "\n")
    for words, passes in (((), False), (("--raw-terminal",), True)):
        shown = under_a_pty(fleet, agent.device_id(), "-t", *words, "--", f"sh {script}")
        assert (b"\x1b]52" in shown, b"owned" in shown, b"\x1bP" in shown) == (passes,) * 3
        # What turns the direction of text around makes one command look like another.
        assert ("\u202e".encode() in shown) == passes
        assert (b"\x1b[6n" in shown, b"\x9b" in shown, b"\x1b]8" in shown) == (passes,) * 3
        session = complete(fleet)
        kept = export(fleet, session, "--text")
        assert PASSES in kept
        assert b"\x9b5n\x1b[6n\x1b[cf\x1b[21tg\xc2\x9b5nh\xe2\x80\xae\r\n" in kept


def under_a_pty(fleet, *words):
    """Return the exact bytes that penguinctl writes to a terminal."""
    line = " ".join(f"'{word}'" for word in (BIN / "penguinctl", "shell", *words))
    done = subprocess.run(
        ["script", "--quiet", "--return", "--command", line, "/dev/null"],
        stdin=subprocess.DEVNULL, capture_output=True, check=False, timeout=60,
        env=env_of(fleet.alice, TERM="xterm"), cwd="/",
    )  # fmt: skip
    assert done.returncode == 0, done
    return done.stdout
