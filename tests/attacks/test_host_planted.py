"""Links, fifos and endless files planted where the agent and its plugins read and write.

Nothing follows them to somebody else's file, waits for them, or reads them to their end.
"""

import os
import resource
import shutil

import pytest

from tests.harness.process import wait_until

pytestmark = pytest.mark.timeout(240)

VICTIM = "what was here before\n"
SECRET = '{"secret": "of another user"}'
PLUGIN = "#!/bin/sh\necho '{\"value\": 1}'\n"
CACHING = """#!/usr/bin/env python3
import json

from penguindome import cached_data

try:
    read = cached_data("planted", raise_exception=False)
except Exception as error:
    read = type(error).__name__
try:
    cached_data("planted", {"written": "by the plugin"})
    wrote = True
except Exception as error:
    wrote = type(error).__name__
print(json.dumps({"read": read, "wrote": wrote}))
"""
MEMORY = 3 << 30
PLANTS = ["symlink", "dangling", "hardlink", "fifo", "zero", "folder"]


def plant(kind, path, victim):
    """Put a trap at a path."""
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path)
    path.unlink(missing_ok=True)
    match kind:
        case "symlink":
            path.symlink_to(victim)
        case "dangling":
            path.symlink_to(victim.with_name("made-by-following"))
        case "hardlink":
            os.link(victim, path)
        case "fifo":
            os.mkfifo(path, 0o600)
        case "zero":
            path.symlink_to("/dev/zero")
        case "folder":
            path.mkdir()


@pytest.fixture
def victim(fleet):
    path = fleet.folder / f"victim{len(list(fleet.folder.iterdir()))}"
    path.write_text(SECRET)
    path.chmod(0o600)
    yield path
    assert path.read_text() == SECRET
    assert not path.with_name("made-by-following").exists()


@pytest.fixture(scope="module")
def plugins(fleet):
    return fleet.plugins(example=PLUGIN, caching=CACHING)


@pytest.fixture(scope="module")
def laptop(fleet, plugins):
    agent = fleet.device(plugins=plugins)
    agent.enroll(fleet.alice.token())
    agent.start()
    fleet.wait_for_report(agent)
    yield agent
    agent.stop()


def test_plugin_that_finds_no_trap_reads_what_it_wrote(laptop):
    for _ in range(2):
        said = laptop.run("collect", "caching", "-o", "json")
    assert '"written": "by the plugin"' in said
    assert '"wrote": true' in said


@pytest.mark.parametrize("kind", PLANTS)
def test_traps_in_a_plugins_folder_are_not_followed(laptop, victim, kind):
    (folder,) = (laptop.folder / "state").rglob("data_cache")
    plant(kind, folder / "planted.json", victim)
    done = laptop.try_run("collect", "caching", "-o", "json")
    assert done.returncode == 0, done.stderr
    if kind != "hardlink":
        assert "of another user" not in done.stdout
    if kind == "folder":
        (folder / "planted.json").rmdir()
        return
    # Replaced by a file of its own, where it wrote at all.
    assert '"wrote": true' in done.stdout, done.stdout
    assert not (folder / "planted.json").is_symlink()
    assert "by the plugin" in (folder / "planted.json").read_text()


@pytest.mark.parametrize("kind", ["symlink", "fifo", "zero"])
@pytest.mark.parametrize(
    "name",
    [
        "verdicts.json",
        "spool/999999999999-0000.report",
        "state/acknowledged",
        "trust/1.json",
        "state/ratchet",
    ],
)
def test_traps_in_the_state_neither_stop_nor_lead_the_daemon(fleet, planted, victim, kind, name):
    path = planted.folder / "state" / name
    saved = path.read_bytes() if path.is_file() else None
    plant(kind, path, victim)
    try:
        planted.start()
        # Whoever reads an endless file fails instead of taking this machine's memory.
        resource.prlimit(planted.process.pid, resource.RLIMIT_AS, (MEMORY, MEMORY))
        start = len(planted.log())
        wait_until(
            lambda: settled(planted) or str(path) in planted.log()[start:],
            25,
            f"the daemon neither goes on nor names {kind} in {name}",
        )
    finally:
        if planted.process.is_running():
            planted.stop()
        planted.process = None
        if path.is_dir() and not path.is_symlink():
            shutil.rmtree(path)
        path.unlink(missing_ok=True)
        if saved is not None:
            path.write_bytes(saved)
            path.chmod(0o600)
        if name == "state/ratchet":
            # Without the value, it looks like a second machine.
            fleet.alice.run("device", "unblock", planted.device_id())


def settled(agent):
    """Tell whether the daemon has come to something: it ended by itself, or is connected."""
    if not agent.process.is_running():
        return True
    done = agent.try_run("status", "-o", "json")
    return done.returncode == 0 and '"connected": true' in done.stdout


@pytest.fixture(scope="module")
def planted(fleet, plugins):
    agent = fleet.device(plugins=plugins)
    agent.enroll(fleet.alice.token())
    agent.start()
    fleet.wait_for_report(agent)
    agent.stop()
    yield agent
    agent.start()
    fleet.wait_for_report(agent)
    agent.stop()


@pytest.mark.parametrize("kind", ["symlink", "fifo", "zero", "folder", "dangling"])
def test_token_is_not_read_from_a_trap(fleet, plugins, victim, kind):
    agent = fleet.device(plugins=plugins)
    path = agent.folder / "token"
    plant(kind, path, victim)
    done = agent.try_run("enroll", "--token-file", path)
    assert done.returncode != 0
    assert "secret" not in done.stdout + done.stderr
    assert "Traceback" not in done.stderr
    plant("folder", path, victim)
    path.rmdir()
    path.write_text(fleet.alice.token())
    path.chmod(0o600)
    agent.run("enroll", "--token-file", path)


@pytest.mark.parametrize("kind", ["symlink", "dangling", "fifo", "zero"])
def test_trap_at_the_sockets_place_goes(planted, victim, kind):
    path = planted.folder / "run/agent.sock"
    plant(kind, path, victim)
    planted.start()
    wait_until(lambda: settled(planted), 25, f"the daemon hangs at {kind}")
    assert path.is_socket()
    planted.stop()


@pytest.mark.parametrize("kind", ["symlink", "fifo", "zero", "folder", "dangling"])
def test_trap_among_local_plugins_does_not_run(plugins, fleet, victim, kind):
    agent = fleet.device(plugins=plugins)
    victim.chmod(0o755)
    plant(kind, agent.local / "trap", victim)
    agent.add_local("good", PLUGIN)
    said = agent.run("collect", "-o", "json")
    assert '"good"' in said
    assert "of another user" not in said
    assert '"name": "trap"' not in said
    victim.chmod(0o600)
