"""Floods through a shell cost none of the three programs memory, and Ctrl-C comes through them."""

from __future__ import annotations

import contextlib
import os
import threading
import time

import psutil
import pytest

from tests.attacks.kit.shells import gone, sessions, shell
from tests.harness.fleet import Fleet
from tests.harness.process import wait_until
from tests.stories.shells import at_terminal, device_of

pytestmark = [pytest.mark.root, pytest.mark.timeout(240)]
MIB = 1024 * 1024
GIB = 1024 * MIB
MOST_MIB = 32
SECONDS = 6


@pytest.fixture(scope="module")
def fleet():
    with Fleet() as running:
        yield running


@pytest.fixture(scope="module")
def agent(fleet):
    made = device_of(fleet)
    # What a first session loads is loaded.
    for _ in range(2):
        fleet.alice.run("shell", made.device_id(), "--", "head -c 3000000 /dev/zero | tr '\\0' a")
    return made


def resident(*processes):
    """Return what each program has in memory, MiB; of what it started nothing counts."""
    # setpriv runs the program in its own place.
    return [psutil.Process(one).memory_info().rss / MIB for one in processes]


def grown(fleet, agent, one):
    """Return by how much the three programs grew at most while a flood goes on."""
    pids = (agent.process.pid, fleet.server.process.pid, one.process.pid)
    before = resident(*pids)
    most = [0.0, 0.0, 0.0]
    end = time.monotonic() + SECONDS
    while time.monotonic() < end:
        now = resident(*pids)
        most = [max(m, n - b) for m, n, b in zip(most, now, before, strict=True)]
        time.sleep(0.1)
    return dict(zip(("agent", "penguind", "penguinctl"), most, strict=True))


def begin(one):
    one.line("echo begun")
    assert one.process.stdout.readline() == b"begun\n"


@pytest.mark.parametrize("flood", ["yes", "cat /dev/zero", "cat /dev/urandom"])
def test_a_reader_who_takes_nothing_costs_no_memory(fleet, agent, flood):
    with shell(fleet.alice, agent.device_id(), "-T", "--", "sh") as one:
        begin(one)
        one.line(flood)
        assert max(grown(fleet, agent, one).values()) < MOST_MIB
        one.process.kill()
    agent.run("sessions", "--end", "all")
    wait_until(lambda: not sessions(agent), 20, "it goes on")


def test_a_flood_that_is_read_costs_no_memory(fleet, agent):
    with shell(fleet.alice, agent.device_id(), "-T", "--", "sh") as one:
        begin(one)
        one.line("yes | head -c 300000000")
        size, pids = 0, (agent.process.pid, fleet.server.process.pid, one.process.pid)
        before = resident(*pids)
        most = 0.0
        end = time.monotonic() + SECONDS
        while time.monotonic() < end and size < 300_000_000:
            size += len(one.process.stdout.read1(1 << 20))
            most = max(most, *(n - b for n, b in zip(resident(*pids), before, strict=True)))
        assert size > 5_000_000
        assert most < MOST_MIB
    agent.run("sessions", "--end", "all")
    wait_until(lambda: not sessions(agent), 20, "it goes on")


def test_a_file_of_a_gigabyte_comes_whole_to_a_reader_who_stalled(fleet, agent, tmp_path):
    file = tmp_path / "gigabyte"
    with file.open("wb") as opened:
        opened.truncate(GIB)
    # Unrecorded: nobody wants a gigabyte of it in the database.
    words = ("--recording", "off", "-T", "--", "sh")
    with shell(fleet.alice, agent.device_id(), *words) as one:
        begin(one)
        pids = (agent.process.pid, fleet.server.process.pid, one.process.pid)
        before = resident(*pids)
        one.line(f"cat {file}; exit 0")
        most = max(grown(fleet, agent, one).values())
        size = 0
        while data := one.process.stdout.read1(1 << 20):
            if size >> 26 != (size + len(data)) >> 26:
                pairs = zip(resident(*pids), before, strict=True)
                most = max(most, *(now - then for now, then in pairs))
            size += len(data)
        assert (size, one.process.wait(20)) == (GIB, 0)
    assert most < MOST_MIB


def test_input_that_is_not_read_costs_no_memory(fleet, agent):
    with shell(fleet.alice, agent.device_id(), "-T", "--", "sleep 60") as one:
        wait_until(lambda: sessions(agent), 20, "no session")

        def types():
            with contextlib.suppress(OSError):
                while True:
                    os.write(one.process.stdin.fileno(), b"x" * 65536)

        typing = threading.Thread(target=types, daemon=True)
        typing.start()
        assert max(grown(fleet, agent, one).values()) < MOST_MIB
        one.process.kill()
        typing.join(10)
    agent.run("sessions", "--end", "all")
    wait_until(lambda: not sessions(agent), 20, "it goes on")


def test_an_interrupt_comes_through_a_flood_within_a_second(fleet, agent, tmp_path_factory):
    folder = tmp_path_factory.mktemp("t")
    terminal, line = at_terminal(fleet, agent.device_id(), folder=folder)
    with terminal:
        terminal.see("here>")
        terminal.line(line)
        wait_until(lambda: sessions(agent), 30, "no session")
        terminal.line(f"cd {folder}; PS1='far''> '; clear")
        terminal.see("far>")
        words = f"flood{time.monotonic_ns() % 10**6}"
        terminal.line(f"yes {words}")
        terminal.see(f"{words}\n{words}\n{words}")
        time.sleep(2)
        began = time.monotonic()
        terminal.press("C-c")
        gone(f"yes {words}", 10)
        taken = time.monotonic() - began
        terminal.line("exit 0")
    # A second, and what starting tmux to press a key takes.
    assert taken < 1.3
