"""Remote shells at real terminals: what is typed there works, and the terminal is whole after."""

import os
import re
import signal
import subprocess
import termios
import time

import pytest

from tests.harness.process import wait_until
from tests.harness.terminal import Terminal
from tests.stories.shells import at_terminal, ended, env_of, known_device_of, shell_words

pytestmark = [pytest.mark.root, pytest.mark.timeout(180)]
PROMPT = "far>"
# A program that draws its whole screen anew, each time that it is resized, too.
REDRAWS = """
import curses
def main(screen):
    while True:
        rows, columns = screen.getmaxyx()
        screen.erase()
        for row in range(rows - 1):
            screen.addstr(row, 0, "#" * (columns - 1))
        screen.addstr(rows // 2, 2, f" {columns} by {rows} ")
        screen.refresh()
        if screen.getch() == ord("q"):
            return
curses.wrapper(main)
"""


@pytest.fixture(scope="module")
def agent(fleet):
    return known_device_of(fleet)


@pytest.fixture
def window(fleet, agent, folder):
    """Return a terminal at which a remote shell is open, with a prompt that is known."""
    terminal, line = at_terminal(fleet, agent.device_id(), folder=folder)
    with terminal:
        terminal.see("here>")
        terminal.line(f"stty -a | sum; {line}; echo status $?; stty -a | sum")
        # Its own prompt is whatever the account has.
        wait_until(lambda: _is_open(fleet, agent), 30, "no session")
        terminal.line(f"PS1='{PROMPT} '; unset PROMPT_COMMAND; clear")
        wait_until(lambda: terminal.screen().startswith(PROMPT), 20, terminal.screen())
        yield terminal
    wait_until(lambda: ended(fleet.alice, agent.device_id()), 60, "the session goes on")


def _is_open(fleet, agent):
    listed = fleet.alice.json("session", "list", "--open", "--device", agent.device_id())
    return any(one["state"] == "running" for one in listed["sessions"])


def leave(window):
    """End a session by its escape, and find the terminal as it was."""
    window.press("Enter")
    window.type("~.")
    window.see("status 255")
    see_terminal_restored(window)


def see_terminal_restored(window):
    """Find that the terminal's settings are those from before, and that lines are edited."""
    window.press("Enter")
    screen = window.see("here>")
    sums = re.findall(r"^(\d{5}) +\d+", screen, re.MULTILINE)
    window.line("stty -a | grep -c ' icanon'")
    window.see("\n1\n")
    assert len(set(sums)) <= 1, screen


def test_vim_edits_and_saves(window, folder):
    path = folder / "notes.txt"
    window.line(f"vim -u NONE {path}")
    window.see("[New")
    window.type("iGrüße, ☃")
    window.press("Escape")
    window.line(":wq")
    window.see(PROMPT)
    assert path.read_text(encoding="utf-8") == "Grüße, ☃\n"
    window.line("exit 7")
    window.see("status 7")


def test_less_pages(window, folder):
    path = folder / "long.txt"
    path.write_text("".join(f"line {number}\n" for number in range(1000)))
    window.line(f"clear; less {path}")
    window.see("line 5\n")
    window.type("G")
    window.see("line 999")
    window.type("g/line 500$")
    window.press("Enter")
    window.see("line 500\n")
    window.type("q")
    window.see(PROMPT)
    leave(window)


def test_a_full_screen_is_drawn_and_resized(window, folder):
    (folder / "redraws.py").write_text(REDRAWS)
    window.line(f"/usr/bin/python3 {folder / 'redraws.py'}")
    window.see(" 80 by 24 ")
    window.resize(100, 30)
    assert window.see(" 100 by 30 ").count("#" * 90) >= 27
    window.resize(40, 10)
    window.see(" 40 by 10 ")
    window.type("q")
    window.see_no_more("###")
    window.line("stty size")
    window.see("10 40")
    leave(window)


def test_control_keys_reach_the_program(window):
    window.line("sleep 600; echo c=$?")
    time.sleep(0.5)
    window.press("C-c")
    window.see("^C")
    window.line("echo after=$?")
    window.see("after=130")
    window.line("sleep 601")
    time.sleep(0.5)
    window.press("C-z")
    window.see("Stopped")
    window.line("fg")
    window.see("sleep 601\n")
    window.press("C-c")
    window.line("echo done")
    window.see("\ndone\n")
    window.press("C-d")
    window.see("status")


def test_escapes_are_those_of_ssh(window):
    window.line("clear")
    window.see(PROMPT)
    window.type("~?")
    window.see("end the session")
    window.press("Enter")
    window.line("~~root/x")
    window.see("~root/x")
    window.type("echo a~.b")
    window.press("Enter")
    window.see("a~.b")
    window.type("~")
    window.press("C-z")
    window.see("here>")
    window.line("echo in between")
    window.see("\nin between")
    window.line("fg")
    window.see("penguinctl shell")
    window.line("echo bac''k")
    window.see("\nback")
    window.press("Enter")
    window.type("~.")
    window.see("is ended")
    window.line("echo status $?")
    window.see("status 255")


def test_the_escape_counts_at_the_very_beginning(fleet, agent, folder):
    terminal, line = at_terminal(fleet, agent.device_id(), folder=folder)
    with terminal:
        terminal.see("here>")
        terminal.line(f"{line}; echo status $?")
        wait_until(lambda: _is_open(fleet, agent), 30, "no session")
        terminal.type("~.")
        terminal.see("is ended")
        terminal.see("status 255")
    # Not only after the time for which a lost link is waited for.
    wait_until(lambda: ended(fleet.alice, agent.device_id()), 5, "the session goes on")


def test_without_an_escape_everything_is_sent(fleet, agent, folder):
    terminal, line = at_terminal(fleet, agent.device_id(), "--escape", "none", folder=folder)
    with terminal:
        terminal.see("here>")
        terminal.line(f"{line} -t -- cat; echo status $?")
        wait_until(lambda: _is_open(fleet, agent), 30, "no session")
        terminal.line("~.")
        terminal.see("~.\n~.")
        terminal.press("C-c")
        terminal.see("status 130")


@pytest.mark.parametrize(("options", "reaches"), [("", False), ("--raw-terminal", True)])
def test_titles_reach_the_own_terminal_only_if_wanted(fleet, agent, folder, options, reaches):
    terminal, line = at_terminal(fleet, agent.device_id(), options, folder=folder)
    with terminal:
        terminal.see("here>")
        terminal.line(f"{line} -t -- 'printf \"\\033]0;owned\\007\"; printf sh%sn ow'")
        terminal.see("shown")
        assert (terminal.title() == "owned") is reaches


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP])
def test_a_signal_leaves_the_terminal_as_it_was(window, fleet, agent, number):
    os.kill(_pid(fleet, agent), number)
    window.see("status")
    see_terminal_restored(window)
    wait_until(lambda: ended(fleet.alice, agent.device_id()), 5, "the session goes on")


def _pid(fleet, agent):
    """Return the process id of penguinctl at the terminal."""
    found = subprocess.run(
        ["pgrep", "-f", f"penguinctl shell {agent.device_id()}$"],
        capture_output=True, text=True, check=True, timeout=10,
    )  # fmt: skip
    return int(found.stdout.split()[-1])


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP])
def test_a_terminal_that_is_stopped_keeps_no_signal_waiting(fleet, agent, number):
    words = shell_words(agent.device_id(), "-t", "--", "yes")
    with Terminal(words, env_of(fleet.alice, TERM="xterm")) as terminal:
        terminal.see(b"y\r\n" * 1000)
        # Nobody reads any more, and the terminal is full.
        time.sleep(1)
        os.kill(terminal.pid, number)
        wait_until(lambda: terminal.is_over, 15, "penguinctl waits for its terminal")
        assert termios.tcgetattr(terminal.descriptor)[3] & termios.ICANON
    wait_until(lambda: ended(fleet.alice, agent.device_id()), 60, "the session goes on")
