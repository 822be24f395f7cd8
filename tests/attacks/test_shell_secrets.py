"""What is typed without an echo is kept nowhere, and what a device shows acts on nothing."""

from __future__ import annotations

import subprocess

import pytest

from tests.attacks.kit.database import StolenDatabase
from tests.attacks.kit.needles import forms
from tests.attacks.kit.shells import newest
from tests.attacks.kit.sshd import sshd
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
READ = "read -s -p 'Pass''word: ' x; echo; echo ${#x} typed"
NOBODY = "setpriv --reuid=65534 --regid=65534 --clear-groups"
ASKS = {
    "read -s": READ,
    "getpass": "python3 getpw.py",
    "a program in raw mode": "python3 raw.py",
    "sudo": f"{NOBODY} sudo -k -p 'Pass''word: ' true",
    "ssh": "$SSH -o PubkeyAuthentication=no -o NumberOfPasswordPrompts=1 nobody@127.0.0.1",
    "a program on the other side of ssh": "$SSH -t root@127.0.0.1 bash $PWD/read.sh",
    "a program inside vim": "vim -u NONE -i NONE -c '!bash read.sh'",
    "vim itself": "vim -u NONE -i NONE -N -S ask.vim",
    "the key of vim": "vim -u NONE -i NONE -N -c X",
}
# What stands there after the password; else its length, and "typed".
PROMPTS = {"a program in raw mode": "raw:", "the key of vim": "encryption key:"}
AFTER = {"sudo": "Sorry, try again", "ssh": "Permission denied", "the key of vim": "same key again"}
ASK_VIM = """
let x = inputsecret('Password: ')
redraw
echo len(x) 'typed'
"""
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


@pytest.fixture
def asking(folder):
    """Return a folder with programs that ask for passwords, and lend an sshd."""
    folder.chmod(0o755)
    (folder / "raw.py").write_text(RAW)
    (folder / "getpw.py").write_text(GETPASS)
    (folder / "read.sh").write_text(READ)
    (folder / "ask.vim").write_text(ASK_VIM)
    with sshd(folder) as line:
        for name, words in ASKS.items():
            (folder / name).write_text(f"cd {folder}; SSH='{line}'\n{words}\n")
        yield folder


@pytest.mark.parametrize("how", ASKS)
def test_a_password_is_kept_nowhere(fleet, agent, asking, how):
    terminal, line = at_terminal(fleet, agent.device_id(), folder=asking)
    with terminal:
        terminal.see("here>")
        terminal.line(f"{line}; echo status $?")
        wait_until(lambda: newest_runs(fleet), 30, "no session")
        # What is waited for stands in no typed line: a terminal shows those before anybody reads.
        terminal.line("PS1='far''> '; clear")
        terminal.see("far>")
        terminal.line(f"echo {PLAIN}")
        terminal.line(f"clear; bash '{asking / how}'")
        terminal.see(PROMPTS.get(how, "assword:"))
        terminal.line(SECRET)
        terminal.see(AFTER.get(how, f"{len(SECRET) + ('raw' in how)} typed"))
        leave(terminal, how)
        terminal.see("status 0")
    session = complete(fleet)
    recorded = export(fleet, session, "--text")
    # The control: what is echoed is shown, recorded, and found where it is looked for.
    assert PLAIN.encode() in recorded
    assert SECRET.encode() not in recorded
    places = everything(fleet, agent)
    assert holding(places, PLAIN)
    assert holding(places, SECRET) == []


def leave(terminal, how):
    """End what asked, if it did not end by itself, and the session."""
    if how == "the key of vim":
        terminal.line(SECRET)
    if how in {"sudo", "a program inside vim"}:
        terminal.press("C-c" if how == "sudo" else "Enter")
    if "vim" in how:
        terminal.type(":q!")
        terminal.press("Enter")
    terminal.see("far>")
    terminal.line("exit 0")


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
