"""Escapes and strange output at real terminals, from the first key on."""

import pytest

from tests.harness.fleet import Fleet
from tests.harness.process import wait_until
from tests.stories.shells import NOTHING, at_terminal, ended, known_device_of

pytestmark = [pytest.mark.root, pytest.mark.timeout(180)]
# Each byte, each byte after an escape and after the beginning of a sequence, and a real program.
STRANGE = b"".join(
    (
        bytes(range(256)) * 3,
        b"".join(b"\x1b" + bytes([byte]) for byte in range(0x20, 0x7F)),
        b"".join(b"\x1b[12;3" + bytes([byte]) for byte in range(0x40, 0x7F)),
        b"\xff\xfe\xc3\x28\xf0\x9f\x90" * 100,
    )
)


@pytest.fixture(scope="module")
def fleet():
    with Fleet() as running:
        yield running


@pytest.fixture(scope="module")
def device(fleet):
    return known_device_of(fleet).device_id()


@pytest.fixture
def begin(fleet, folder, device):
    """Return what opens a session at a terminal; returns that once the session runs."""

    def runs():
        listed = fleet.alice.json("session", "list", "--open", "--device", device)["sessions"]
        return any(one["state"] == "running" for one in listed)

    def work(terminal, line):
        terminal.see("here>")
        terminal.line(f"{line}; echo sta''tus $?")
        wait_until(runs, 30, "no session")
        return terminal

    yield work
    wait_until(lambda: ended(fleet.alice, device), 60, "the session goes on")


def prompt(terminal):
    """Have a prompt that is known."""
    terminal.line("PS1='far''> '; unset PROMPT_COMMAND; clear")
    terminal.see("far>")


def test_it_can_be_suspended_from_the_first_key_on(fleet, begin, folder, device):
    terminal, line = at_terminal(fleet, device, folder=folder)
    with terminal:
        begin(terminal, line)
        terminal.type("~")
        terminal.press("C-z")
        terminal.see("Stopped")
        terminal.line("echo in bet''ween")
        terminal.see("in between")
        terminal.line("fg")
        prompt(terminal)
        terminal.line("exit 6")
        terminal.see("logout\nhere>")
        terminal.line("echo sta''tus $?")
        terminal.see("status 6")


def test_another_escape_takes_the_place_of_the_first(fleet, begin, folder, device):
    terminal, line = at_terminal(fleet, device, "--escape", "%", folder=folder)
    with terminal:
        begin(terminal, line)
        prompt(terminal)
        # What ended a session otherwise is typed like anything else.
        terminal.line("~.")
        terminal.see("command not found")
        terminal.line("clear; echo go''es on")
        terminal.see("goes on")
        terminal.type("%.")
        terminal.see("is ended")
        terminal.see("status 255")


@pytest.mark.parametrize(
    "vector",
    [("~x", "~x"), ("~~", "~"), ("~~.", "~."), ("a~.", "a~."), ("~/x", "~/x"), ("~~~.", "~~.")],
)
def test_what_is_no_escape_arrives_once(fleet, begin, folder, device, vector):
    typed, arrives = vector
    # No echo: what is seen is what arrived. A line of the program's own comes first.
    program = "'stty -echo; echo rea''dy; while read -r x; do echo \"[$x]\"; done'"
    terminal, line = at_terminal(fleet, device, "-t", "--", program, folder=folder)
    with terminal:
        begin(terminal, line)
        terminal.see("\nready")
        for _ in range(2):
            terminal.line(typed)
        screen = terminal.see(f"[{arrives}]\n[{arrives}]")
        assert screen.partition("\nready\n")[2].split() == [f"[{arrives}]"] * 2
        terminal.press("C-d")
        terminal.see("status 0")


def test_waiting_for_a_device_can_be_ended(fleet, folder):
    away = fleet.device(plugins=fleet.plugins(nothing=NOTHING))
    away.enroll(fleet.alice.token())
    terminal, line = at_terminal(fleet, away.device_id(), "--wait", folder=folder)
    with terminal:
        terminal.see("here>")
        terminal.line(f"{line}; echo sta''tus $?")
        terminal.see("Waiting for the device", 30)
        terminal.type("~.")
        terminal.see("is ended")
        terminal.see("status 255")
    # And it does not begin when the device comes.
    away.start()
    fleet.wait_for_report(away)
    (one,) = fleet.alice.json("session", "list", "--device", away.device_id())["sessions"]
    assert one["state"] == "cancelled"


def test_bytes_that_are_no_text_leave_the_terminal_usable(fleet, begin, folder, device):
    (folder / "strange").write_bytes(STRANGE)
    terminal, line = at_terminal(fleet, device, folder=folder)
    with terminal:
        before = terminal.title()
        begin(terminal, line)
        prompt(terminal)
        terminal.line(f"cat {folder}/strange /bin/true; reset; clear; echo who''le")
        terminal.see("whole")
        assert terminal.title() == before
        # No answer to a question of theirs was typed in our name.
        screen = terminal.see("far>")
        assert screen.strip().splitlines() == ["whole", "far>"]
        terminal.line("echo gr''üße ☃ 日本")
        terminal.see("grüße ☃ 日本")
        terminal.line("exit 5")
        terminal.see("status 5")
        terminal.line("stty -a | grep -c ' icanon'")
        terminal.see("\n1\n")
