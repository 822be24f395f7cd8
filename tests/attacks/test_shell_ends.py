"""Sessions that have to end: whatever was started in them is gone in time, however it hides."""

from __future__ import annotations

import os
import subprocess
import time
from datetime import timedelta

import pytest

from penguin_agent.config_shell import ShellSettings
from tests.attacks.kit.shells import gone, marked, newest, sessions, shell
from tests.harness.fleet import Fleet
from tests.harness.process import wait_until
from tests.stories.shells import device_of

pytestmark = [pytest.mark.root, pytest.mark.timeout(240)]
RESUME = 3
# Each has a word of its own in its command line. The last ones go on making others.
HIDING = """
sleep 9{mark}1 &
setsid nohup sleep 9{mark}2 >/dev/null 2>&1 &
env -i setsid sleep 9{mark}3 >/dev/null 2>&1 &
(trap '' HUP TERM INT; setsid sh -c 'trap "" HUP TERM; while :; do sleep 9{mark}4; done' &) &
(setsid sh -c 'while :; do (sleep 9{mark}5 &); sleep 0.05; done' >/dev/null 2>&1 &) &
"""
# The same, with the session's variable kept by all of it.
FINDABLE = HIDING.replace("env -i ", "")
# What holds a program and all that comes of it, and the program's parent below that.
HOLDERS = "$(cut -d ' ' -f 4 /proc/$PPID/stat) $PPID"


@pytest.fixture(scope="module")
def fleet():
    with Fleet() as running:
        yield running


@pytest.fixture
def deny(tmp_path):
    return tmp_path / "deny-shell"


@pytest.fixture
def agent(fleet, deny):
    made = device_of(fleet, f'[shell]\nresume_seconds = {RESUME}\ndeny_file = "{deny}"\n')
    yield made
    made.stop()


def mark_of(agent):
    """Return digits that nobody else has."""
    return f"{os.getpid()}{abs(hash(agent.folder)) % 10_000:04}"


def hide(one, agent, hiding=HIDING):
    """Start what hides; return what is in its command lines."""
    mark = mark_of(agent)
    one.line(hiding.format(mark=mark))
    words = f"sleep 9{mark}"
    for number in range(1, 6):
        wait_until(lambda number=number: marked(f"{words}{number}"), 20, f"no {number}")
    return f"9{mark}"


def test_the_limits_of_a_device_that_sets_none():
    limits = ShellSettings()
    known = (limits.resume, limits.idle, limits.longest)
    assert known == (timedelta(seconds=30), timedelta(minutes=15), timedelta(hours=4))


def test_everything_is_there_while_the_session_is(fleet, agent):
    with shell(fleet.alice, agent.device_id(), "-T", "--", "bash") as one:
        mark = hide(one, agent)
        time.sleep(2)
        for number in range(1, 6):
            assert marked(f"sleep {mark}{number}")
        one.line("exit 0")
        assert one.end()[0] == 0
    gone(mark, 10)


def trusted(fleet, agent, name):
    """Return a further operator whose orders devices follow."""
    path = fleet.folder / f"{name}.txt"
    fleet.alice.run("operator", "invite", name, "--role", "admin", "--invitation-file", path)
    made = fleet.operator(name, path)
    key = made.folder / "key.gpg"
    gpg = ["gpg", "--homedir", made.folder / "gnupg", "--batch", "--export-options"]
    done = subprocess.run([*gpg, "export-minimal", "--export"], check=True, capture_output=True)
    key.write_bytes(done.stdout)
    fleet.alice.run("trust", "propose", "--add", f"{name}={key}", "--yes")
    fleet.alice.run("trust", "publish")
    version = fleet.alice.json("trust", "show")["version"]
    wait_until((agent.folder / f"state/trust/{version}.json").exists, 30, "no new trust")
    return made


@pytest.mark.parametrize("terminal", ["-T", "-t"])
def test_whoever_is_revoked_has_nothing_any_more(fleet, agent, terminal):
    name = f"mallory{terminal[1].lower()}{len(fleet.operators)}"
    mallory = trusted(fleet, agent, name)
    with shell(mallory, agent.device_id(), terminal, "--", "bash") as one:
        mark = hide(one, agent)
        fleet.alice.run("operator", "revoke", name, "--yes")
        # Not only after the time in which a link may come back.
        assert gone(mark, 10) < 2
        assert one.end()[0] == 255
    wait_until(lambda: newest(fleet.alice)["state"] == "cancelled", 10, newest(fleet.alice))
    assert newest(fleet.alice)["ended_reason"] == f"{name} may not go on"


@pytest.mark.parametrize("terminal", ["-T", "-t"])
def test_who_forbids_sessions_ends_those_there_are(fleet, agent, deny, terminal):
    with shell(fleet.alice, agent.device_id(), terminal, "--", "bash") as one:
        mark = hide(one, agent)
        deny.touch()
        assert gone(mark, 10) < 5
        status, _, said = one.end()
        assert (status, b"forbids" in said) == (255, True)
    assert newest(fleet.alice)["state"] == "failed"
    done = fleet.alice.try_run("shell", agent.device_id(), "--", f"sleep 9{mark}")
    assert (done.returncode, "forbids" in done.stderr) == (255, True)
    deny.unlink()
    assert fleet.alice.run("shell", agent.device_id(), "--", "echo again") == "again\n"


@pytest.mark.parametrize("how", ["idle", "longest"])
def test_limits_of_time_are_kept(fleet, agent, how):
    with shell(fleet.alice, agent.device_id(), "-T", f"--{how}", "11s", "--", "bash") as one:
        mark = hide(one, agent)
        began = time.monotonic()
        while how == "longest" and marked(mark) and time.monotonic() < began + 20:
            one.line(":")
            time.sleep(0.5)
        gone(mark, 25)
        assert time.monotonic() - began < 11 + 10
        assert one.end()[0] == 255
    wait_until(lambda: newest(fleet.alice)["state"] == "timed-out", 10, newest(fleet.alice))


@pytest.mark.parametrize("terminal", ["-T", "-t"])
@pytest.mark.parametrize("who", ["penguinctl", "agent"])
def test_who_is_killed_takes_the_session_along(fleet, agent, who, terminal):
    with shell(fleet.alice, agent.device_id(), terminal, "--", "bash") as one:
        mark = hide(one, agent)
        if who == "penguinctl":
            one.process.kill()
        else:
            os.kill(agent.process.pid, 9)
        assert gone(mark, RESUME + 10) < RESUME + 10
    if who == "agent":
        agent.process.wait(10)
        agent.start()
        wait_until(lambda: agent.try_run("sessions").returncode == 0, 20, "no agent")
    wait_until(lambda: not sessions(agent), 10, "still listed")


def test_a_link_that_stays_away_ends_the_session(fleet, agent):
    with shell(fleet.alice, agent.device_id(), "-T", "--", "bash") as one:
        mark = hide(one, agent)
        os.kill(fleet.server.process.pid, 19)
        try:
            time.sleep(1)
            assert marked(mark)
        finally:
            os.kill(fleet.server.process.pid, 18)
        # It came back in time.
        one.line("echo here")
        assert one.process.stdout.readline() == b"here\n"
        fleet.server.stop()
        try:
            assert gone(mark, RESUME + 10) < RESUME + 10
        finally:
            fleet.server.start()


def test_a_holder_that_was_stopped_or_killed_holds_nothing_up(fleet, agent):
    with shell(fleet.alice, agent.device_id(), "-T", "--", "bash") as one:
        mark = hide(one, agent)
        # Whoever kills them one by one misses those that are made meanwhile.
        makes = f"while :; do (sleep {mark}6 &); sleep 0.01; done"
        one.line(f"(setsid sh -c '{makes}' >/dev/null 2>&1 &) &")
        one.line(f'h="{HOLDERS}"; (while :; do kill -STOP $h; done) & kill -STOP $h')
        time.sleep(1)
        agent.run("sessions", "--end", "all")
        gone(mark, 15)
        assert one.end()[0] == 255


def test_who_kills_the_parent_of_the_program_keeps_nothing(fleet, agent):
    with shell(fleet.alice, agent.device_id(), "-T", "--", "bash") as one:
        mark = hide(one, agent)
        # Stopping it first is nothing.
        one.line("kill -STOP $PPID; sleep 0.5; kill -KILL $PPID; sleep 30")
        gone(mark, 10)
        # Hung up, as at any other end.
        assert one.end()[0] == 128 + 1


def test_a_program_whose_parent_was_stopped_ends_as_ever(fleet, agent):
    with shell(fleet.alice, agent.device_id(), "-T", "--", "bash") as one:
        one.line("kill -STOP $PPID; exit 3")
        assert one.end()[0] == 3


def test_who_kills_the_holder_keeps_nothing_that_can_be_found(fleet, agent):
    with shell(fleet.alice, agent.device_id(), "-T", "--", "bash") as one:
        mark = hide(one, agent, FINDABLE)
        one.line(f"kill -KILL {HOLDERS}; sleep 30")
        gone(mark, 10)
        status, _, said = one.end()
        assert (status, b"was killed on the device" in said) == (255, True)
    wait_until(lambda: newest(fleet.alice)["state"] == "failed", 10, newest(fleet.alice))


def test_who_kills_the_agent_as_well_keeps_it_until_the_agent_is_back(fleet, agent):
    with shell(fleet.alice, agent.device_id(), "-T", "--", "bash") as one:
        mark = hide(one, agent, FINDABLE)
        one.line(f"kill -KILL {agent.process.pid} {HOLDERS}; sleep 30")
        agent.process.wait(10)
        time.sleep(3)
        assert marked(mark)
        agent.start()
        gone(mark, 20)
        assert one.end()[0] == 255
    wait_until(lambda: newest(fleet.alice)["state"] == "interrupted", 10, newest(fleet.alice))
