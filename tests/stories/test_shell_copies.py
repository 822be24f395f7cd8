"""Files copied to and from a device, and what keeps a session from being opened."""

import os
import signal
import subprocess
import time

import pytest

from tests.harness.process import BIN, wait_until
from tests.stories.shells import NOTHING, device_of, ended, env_of, run

pytestmark = [pytest.mark.root, pytest.mark.timeout(180)]


@pytest.fixture(scope="module")
def agent(fleet):
    return device_of(fleet)


@pytest.mark.parametrize("size", [0, 1, 5 * 1024 * 1024])
def test_a_file_comes_back_as_it_went(fleet, agent, folder, size):
    source, there, back = (folder / name for name in ("here", "there is space", "back"))
    source.write_bytes(os.urandom(size))
    source.chmod(0o750)
    device = agent.device_id()
    said = fleet.alice.run("cp", source, f"{device}:{there}")
    assert f"{size:,} bytes" in said
    fleet.alice.run("cp", f"{device}:{there}", back)
    for path in (there, back):
        assert path.read_bytes() == source.read_bytes()
        assert path.stat().st_mode & 0o777 == 0o750


def test_a_copy_that_was_broken_off_goes_on(fleet, agent, folder):
    source, there = folder / "here", folder / "there"
    source.write_bytes(os.urandom(64 * 1024 * 1024))
    device = agent.device_id()
    words = [str(BIN / "penguinctl"), "cp", f"{device}:{source}", str(there)]
    part = folder / ".there.part"
    with subprocess.Popen(words, env=env_of(fleet.alice), cwd="/") as process:
        begun = lambda: part.exists() and part.stat().st_size > 1024 * 1024  # noqa: E731
        wait_until(begun, 30, "nothing is copied")
        process.send_signal(signal.SIGKILL)
    assert not there.exists()
    assert 0 < part.stat().st_size < source.stat().st_size
    fleet.alice.run("cp", f"{device}:{source}", there)
    assert there.read_bytes() == source.read_bytes()
    assert not part.exists()


def test_a_detour_leads_to_the_same_server(fleet, agent, folder):
    # The certificate names 127.0.0.1 alone.
    penguinctl = [str(BIN / "penguinctl"), "--server", f"localhost:{fleet.server.main_port}"]
    device = agent.device_id()
    done = subprocess.run(
        [*penguinctl, "shell", device, "--", "echo came"],
        stdin=subprocess.DEVNULL, capture_output=True, check=False, timeout=60,
        env=env_of(fleet.alice), cwd="/",
    )  # fmt: skip
    assert (done.returncode, done.stdout) == (0, b"came\n"), done.stderr
    (folder / "here").write_bytes(b"whole")
    fleet.alice.run(*penguinctl[1:], "cp", folder / "here", f"{device}:{folder / 'there'}")
    assert (folder / "there").read_bytes() == b"whole"


def test_what_is_no_file_is_not_copied(fleet, agent, folder):
    device = agent.device_id()
    assert "no such file" in fleet.alice.run("cp", folder, f"{device}:/tmp/x", status=3)
    assert "did not copy" in fleet.alice.run("cp", f"{device}:{folder}", folder / "x", status=6)
    assert "exactly one" in fleet.alice.run("cp", folder, folder, status=2)
    assert not (folder / "x").exists()


def test_a_device_that_forbids_sessions_is_not_asked_for_one(fleet):
    device = device_of(fleet, "[allow]\nshell = false\n")
    done = run(fleet.alice, device.device_id(), "--", "true")
    assert (done.returncode, b"own settings forbid shell" in done.stderr) == (255, True)


def test_a_device_that_is_away_is_waited_for_only_if_wanted(fleet):
    device = fleet.device(plugins=fleet.plugins(nothing=NOTHING))
    device.enroll(fleet.alice.token())
    name = device.device_id()
    done = run(fleet.alice, name, "--", "true")
    assert (done.returncode, b"--wait" in done.stderr) == (255, True)
    words = [str(BIN / "penguinctl"), "shell", name, "--wait", "--", "echo came"]
    with subprocess.Popen(
        words, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, env=env_of(fleet.alice)
    ) as process:
        time.sleep(3)
        device.start()
        assert process.communicate(timeout=60)[0] == b"came\n"
    assert process.returncode == 0
    wait_until(lambda: ended(fleet.alice, name), 10, "the session goes on")
    alike = run(fleet.alice, "*", "--", "true")
    assert (alike.returncode, b"Give an id: d-" in alike.stderr) == (255, True)
