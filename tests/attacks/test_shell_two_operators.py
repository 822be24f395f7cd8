"""Sessions that take two operators: one alone opens nothing, and a moderator's leaving ends one."""

from __future__ import annotations

import contextlib
import select
import signal
import subprocess
import time

import pytest

from tests.attacks.kit.shells import gone, marked, newest, sessions, shell
from tests.harness.fleet import Fleet
from tests.harness.process import BIN, wait_until
from tests.stories.shells import device_of, env_of

pytestmark = [pytest.mark.root, pytest.mark.timeout(240)]
RESUME = 4


@pytest.fixture(scope="module")
def fleet():
    with Fleet() as running:
        yield running


@pytest.fixture(scope="module")
def agent(fleet):
    return device_of(fleet, f"[shell]\nresume_seconds = {RESUME}\n")


@pytest.fixture(scope="module")
def others(fleet, agent):
    """Return bob and carol; from now on a session takes two of the three."""
    made, added = [], []
    for name in ("bob", "carol"):
        path = fleet.folder / f"{name}.txt"
        fleet.alice.run("operator", "invite", name, "--role", "admin", "--invitation-file", path)
        made.append(fleet.operator(name, path))
        added += ["--add", f"{name}={_key(made[-1])}"]
    # Before that, one is enough: what is waited for afterwards is the second one's.
    assert fleet.alice.run("shell", agent.device_id(), "--", "echo alone") == "alone\n"
    fleet.alice.run("trust", "propose", *added, "--threshold", "shell=2", "--yes")
    fleet.alice.run("trust", "publish")
    wait_until((agent.folder / "state/trust/2.json").exists, 30, "no new trust")
    return made


def _key(operator):
    """Return the file of an operator's public key."""
    path = operator.folder / "key.gpg"
    gpg = ["gpg", "--homedir", operator.folder / "gnupg", "--batch", "--export-options"]
    done = subprocess.run([*gpg, "export-minimal", "--export"], check=True, capture_output=True)
    path.write_bytes(done.stdout)
    return path


def waiting(fleet):
    """Return the id of the order that waits for a second signature."""
    listed = wait_until(
        lambda: fleet.alice.json("order", "list", "--waiting")["orders"], 20, "nothing waits"
    )
    return listed[0]["order_id"]


@contextlib.contextmanager
def watches(operator, session):
    """Have an operator watch a session; returns penguinctl."""
    process = subprocess.Popen(
        [str(BIN / "penguinctl"), "session", "watch", session],
        stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
        env=env_of(operator), cwd="/",
    )  # fmt: skip
    try:
        yield process
    finally:
        if process.poll() is None:
            process.kill()
        process.communicate()


def test_one_signature_opens_nothing_and_the_second_one_does(fleet, agent, others, tmp_path):
    bob, _ = others
    with shell(fleet.alice, agent.device_id(), "--", f"touch {tmp_path}/ran") as one:
        order = waiting(fleet)
        # Whoever signed first does not count twice.
        fleet.alice.try_run("order", "approve", order, "--yes")
        time.sleep(2)
        assert fleet.alice.json("order", "show", order)["order"]["missing_signatures"] == 1
        assert (sessions(agent), (tmp_path / "ran").exists()) == ([], False)
        bob.run("order", "approve", order, "--yes")
        status, _, said = one.end()
    assert (status, (tmp_path / "ran").exists()) == (0, True), said
    assert newest(fleet.alice)["approved_by"] == ["bob"]


def test_who_gives_up_waiting_leaves_nothing_to_approve(fleet, agent, others, tmp_path):
    bob, _ = others
    with shell(fleet.alice, agent.device_id(), "--", f"touch {tmp_path}/ran") as one:
        order = waiting(fleet)
        one.process.send_signal(signal.SIGINT)
        assert one.end()[0] != 0
    done = bob.try_run("order", "approve", order, "--yes")
    assert done.returncode != 0, done
    time.sleep(2)
    assert (sessions(agent), (tmp_path / "ran").exists()) == ([], False)


def test_a_moderated_session_lasts_as_long_as_who_approved_it_watches(fleet, agent, others):
    bob, carol = others
    mark = f"9{time.monotonic_ns() % 10**9}"
    words = ("--moderated", "-T", "--", "sh")
    with shell(fleet.alice, agent.device_id(), *words) as one:
        one.line(f"echo begun; setsid nohup sleep {mark} >/dev/null 2>&1 & echo shown; wait")
        order = waiting(fleet)
        bob.run("order", "approve", order, "--yes")
        wait_until(lambda: newest(fleet.alice)["session_id"] == order, 20, newest(fleet.alice))
        # Neither whoever opened it nor a third one stands in for the one who approved it.
        with watches(fleet.alice, order), watches(carol, order):
            wait_until(
                lambda: {"alice", "carol"} <= set(newest(fleet.alice)["watched_by"]), 20, "nobody"
            )
            time.sleep(2)
            assert one.process.poll() is None
            assert not select.select([one.process.stdout], [], [], 1)[0]
            assert not marked(mark)
        with watches(bob, order) as watching:
            assert one.process.stdout.readline() == b"begun\n"
            seen = b""
            while b"shown" not in seen:
                seen += watching.stdout.readline()
            assert seen == b"begun\nshown\n"
            watching.send_signal(signal.SIGINT)
            watching.wait(10)
        began = time.monotonic()
        status, _, said = one.end()
        gone(mark, 10)
        assert time.monotonic() - began < 10
    assert (status, b"bob, who had to watch, left" in said) == (255, True), said
    assert b"Waiting for an operator who approved it to watch" in said
    wait_until(lambda: newest(fleet.alice)["ended_time"], 10, newest(fleet.alice))
    assert "bob, who had to watch, left" in newest(fleet.alice)["ended_reason"]
    assert not sessions(agent)


def test_a_moderated_program_begins_when_it_is_watched(fleet, agent, others, tmp_path):
    bob, _ = others
    line = f"touch {tmp_path}/ran; echo done; exit 3"
    with shell(fleet.alice, agent.device_id(), "--moderated", "--", line) as one:
        order = waiting(fleet)
        bob.run("order", "approve", order, "--yes")
        wait_until(lambda: sessions(agent), 20, "no session")
        # Longer than a lost link is waited for: a moderator is no link.
        time.sleep(RESUME + 3)
        assert (len(sessions(agent)), (tmp_path / "ran").exists()) == (1, False)
        with watches(bob, order) as watching:
            assert one.end()[:2] == (3, b"done\n")
            assert watching.communicate(timeout=20)[0] == b"done\n"
            assert watching.returncode == 0
    assert (tmp_path / "ran").exists()


def test_a_moderated_session_that_nobody_watches_ends_unbegun(fleet, agent, others, tmp_path):
    bob, _ = others
    line = f"touch {tmp_path}/ran"
    for left in (lambda one: one.process.send_signal(signal.SIGTERM), lambda _: None):
        with shell(fleet.alice, agent.device_id(), "--moderated", "--", line) as one:
            order = waiting(fleet)
            bob.run("order", "approve", order, "--yes")
            wait_until(lambda: sessions(agent), 20, "no session")
            left(one)
            agent.run("sessions", "--end", "all") if one.process.poll() is None else None
            one.end()
        wait_until(lambda: not sessions(agent), 30, "it waits on")
    assert not (tmp_path / "ran").exists()
