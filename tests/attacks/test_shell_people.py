"""The people at the device: they are asked, they are told, and nobody else answers for them."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import time
from datetime import timedelta
from pathlib import Path

import pytest

from penguin_agent.config_shell import ShellSettings
from tests.attacks.kit.shells import gone, newest, sessions, shell
from tests.harness.fleet import Fleet
from tests.harness.process import BIN, environment, wait_until
from tests.stories.shells import device_of

pytestmark = [pytest.mark.root, pytest.mark.timeout(240)]
CONSENT = "[shell]\nrequire_consent = true\nconsent_wait_seconds = 4\n"
NOBODY, WWW_DATA, SOMEBODY = 65534, 33, 1000
READS_ANYWHERE = ("--inh-caps=+dac_read_search", "--ambient-caps=+dac_read_search")


@pytest.fixture(scope="module")
def fleet():
    with Fleet() as running:
        yield running


@pytest.fixture(scope="module")
def asking(fleet):
    return device_of(fleet, CONSENT)


def asked(agent):
    """Wait until the device's people are asked."""
    wait_until(lambda: "waits for consent" in agent.run("sessions"), 20, "nobody is asked")


def as_user(agent, uid, *words):
    """Run penguin-agent as another local user, who may read our checkout and nothing more."""
    agent.folder.chmod(0o755)
    become = ("setpriv", f"--reuid={uid}", f"--regid={uid}", "--clear-groups", *READS_ANYWHERE)
    line = [*become, "--", BIN / "penguin-agent", "--config", agent.config, *words]
    return subprocess.run(
        [str(word) for word in line],
        capture_output=True, text=True, check=False, timeout=30, env=environment(HOME="/"), cwd="/",
    )  # fmt: skip


@pytest.mark.parametrize(("answer", "status"), [("yes", 0), ("no", 255)])
def test_who_is_at_the_device_decides(fleet, asking, tmp_path, answer, status):
    with shell(fleet.alice, asking.device_id(), "--", f"touch {tmp_path}/ran") as one:
        asked(asking)
        assert not (tmp_path / "ran").exists()
        asking.run("consent", answer)
        ended, _, said = one.end()
    assert (ended, (tmp_path / "ran").exists()) == (status, answer == "yes"), said
    assert status == 0 or b"nobody at the device agreed" in said


def test_no_answer_is_a_no(fleet, asking, tmp_path):
    with shell(fleet.alice, asking.device_id(), "--", f"touch {tmp_path}/ran") as one:
        asked(asking)
        began = time.monotonic()
        ended, _, said = one.end()
        assert 2 < time.monotonic() - began < 8
    assert (ended, b"nobody at the device agreed" in said) == (255, True)
    assert not (tmp_path / "ran").exists()
    # Who sets nothing waits for two minutes.
    assert ShellSettings().consent_wait == timedelta(minutes=2)
    # An answer that comes too late is an answer to nothing.
    assert "no session waits" in asking.run("consent", "yes", ok=False)


def test_a_service_does_not_agree_and_nobody_but_root_ends(fleet, asking, tmp_path):
    with shell(fleet.alice, asking.device_id(), "--", f"touch {tmp_path}/ran; sleep 60") as one:
        asked(asking)
        for service in (NOBODY, WWW_DATA):
            done = as_user(asking, service, "consent", "yes")
            assert (done.returncode != 0, "service's account" in done.stderr) == (True, True), done
        assert not (tmp_path / "ran").exists()
        # Whoever works at the device need not be root.
        done = as_user(asking, SOMEBODY, "consent", "yes")
        assert done.returncode == 0, done
        wait_until((tmp_path / "ran").exists, 20, "it does not begin")
        done = as_user(asking, SOMEBODY, "sessions", "--end", "all")
        assert (done.returncode != 0, "only root" in done.stderr) == (True, True), done
        # What goes on is no secret to anybody at the machine.
        assert "alice as root" in as_user(asking, NOBODY, "sessions").stdout
        assert len(sessions(asking)) == 1
        asking.run("sessions", "--end", "all")
        assert one.end()[0] == 255
    wait_until(lambda: newest(fleet.alice)["state"] == "cancelled", 10, newest(fleet.alice))


def test_consent_to_what_was_called_off_opens_nothing_that_lasts(fleet, asking):
    words = f"sleep 9{time.monotonic_ns() % 10**9}"
    with shell(fleet.alice, asking.device_id(), "--", words) as one:
        asked(asking)
        one.process.terminate()
        one.end()
        asking.try_run("consent", "yes")
    time.sleep(1)
    gone(words, 5)
    wait_until(lambda: not sessions(asking), 5, "it goes on")


@pytest.fixture
def deaf(fleet):
    """Return a device on which neither terminals nor desktops can be told of anything."""
    made = device_of(fleet, "[shell]\nnotify_wall = true\nnotify_desktop = true\n")
    yield made
    made.stop()


@contextlib.contextmanager
def bus_of_nobody(state):
    """Lend a desktop's bus that does not answer: nobody serves it, or it was stopped."""
    folder = Path("/run/user/65534")
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    os.chown(folder, NOBODY, NOBODY)
    path, daemon = folder / "bus", None
    try:
        if state == "crashed":
            path.touch()
        else:
            line = ["setpriv", f"--reuid={NOBODY}", f"--regid={NOBODY}", "--clear-groups", "--"]
            line += ["dbus-daemon", "--session", "--nofork", f"--address=unix:path={path}"]
            daemon = subprocess.Popen(line, stdin=subprocess.DEVNULL, cwd="/")
            wait_until(path.is_socket, 10, "no bus")
        if state == "stopped":
            daemon.send_signal(signal.SIGSTOP)
        yield
    finally:
        if daemon is not None:
            daemon.kill()
            daemon.wait(10)
        path.unlink(missing_ok=True)
        folder.rmdir()


@pytest.mark.parametrize(
    ("state", "why"),
    [
        # The control: a bus that answers, but without anybody who shows notes.
        ("alone", "setpriv ended with 1"),
        ("crashed", "setpriv ended with 1"),
        ("stopped", "no answer within 5 seconds"),
    ],
)
def test_a_session_starts_and_is_told_of_where_nobody_can_be_told(fleet, deaf, state, why):
    with bus_of_nobody(state):
        began = time.monotonic()
        with shell(fleet.alice, deaf.device_id(), "--reason", "ticket 4711", "--", "cat") as one:
            wait_until(lambda: sessions(deaf), 20, "no session")
            one.line("here")
            assert one.process.stdout.readline() == b"here\n"
            assert time.monotonic() - began < 5
            assert "alice as root: ticket 4711" in deaf.run("sessions")
            assert newest(fleet.alice)["state"] == "running"
            wait_until(lambda: f"nobody's desktop: {why}" in deaf.log(), 10, deaf.log())
            one.process.stdin.close()
            one.process.stdin = None
            assert one.end()[0] == 0
        told = deaf.log()
        assert "alice opens a session as root on this device: ticket 4711" in told
        wait_until(lambda: "The session of alice has ended" in deaf.log(), 10, deaf.log())
