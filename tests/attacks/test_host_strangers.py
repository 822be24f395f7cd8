"""Another user of the machine: may look at the agent, and neither read nor tell it anything."""

import json
import os
import stat
import subprocess
import sys

import pytest

from tests.harness.process import environment
from tests.penguin_agent.test_control import as_nobody

pytestmark = [pytest.mark.timeout(180), pytest.mark.root]

# Not the harness's user of penguind, which may read a closed checkout.
STRANGER = 65533
WALK = """
import json, os, sys
opened, entered = [], []
for path in json.load(sys.stdin):
    for flags in (os.O_RDONLY, os.O_WRONLY, os.O_RDWR):
        try:
            os.close(os.open(path, flags | os.O_NONBLOCK))
            opened.append(path)
        except (PermissionError, IsADirectoryError, OSError):
            pass
    try:
        os.listdir(path)
        entered.append(path)
    except OSError:
        pass
print(json.dumps({"opened": opened, "entered": entered}))
"""
PLUGIN = '#!/bin/sh\necho \'{"canary": "do not read"}\'\n'

LOADED = """
import importlib, os, pkgutil, sys
import asyncio, grpc, logbook.compat, logbook.more, penguin_agent, penguindome, shutil, socket
for package in (penguin_agent, penguindome):
    for found in pkgutil.walk_packages(package.__path__, package.__name__ + "."):
        importlib.import_module(found.name)
from penguin_agent.cli import main
number = int(sys.argv.pop(1))
os.setgroups([])
os.setgid(number)
os.setuid(number)
sys.exit(main(sys.argv[1:]))
"""


def as_stranger(*words, standard_input=""):
    """Run a command as a user who owns nothing."""
    drop = ["setpriv", f"--reuid={STRANGER}", f"--regid={STRANGER}", "--clear-groups",
            "--bounding-set=-all", "--inh-caps=-all", "--"]  # fmt: skip
    return subprocess.run(
        [*drop, *map(str, words)],
        input=standard_input,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
        cwd="/",
        env=environment(HOME="/nonexistent"),
    )


def attempts(paths):
    """Return what a stranger can open or list of these paths."""
    done = as_stranger("/usr/bin/python3", "-I", "-c", WALK, standard_input=json.dumps(paths))
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def everything(*folders):
    found = []
    for folder in folders:
        found.append(str(folder))
        for root, names, files in os.walk(folder):
            found += [os.path.join(root, name) for name in (*names, *files)]  # noqa: PTH118 -- text
    return found


@pytest.fixture(scope="module")
def laptop(fleet):
    agent = fleet.device(plugins=fleet.plugins(example=PLUGIN))
    agent.enroll(fleet.alice.token())
    # As the packages make it: others see that the agent is there.
    agent.folder.chmod(0o755)
    agent.start()
    fleet.wait_for_report(agent)
    yield agent
    agent.stop()


def test_nothing_of_the_state_can_be_read_or_written(laptop):
    paths = everything(laptop.folder / "state")
    names = {path.rpartition("/")[2] for path in paths}
    assert {
        "key.pem",
        "certificate.pem",
        "spool",
        "trust",
        "acknowledged",
        "verdicts.json",
    } <= names
    assert attempts(paths) == {"opened": [], "entered": []}


def test_the_stranger_can_open_what_is_open(laptop, tmp_path):
    open_folder = laptop.folder / "open"
    open_folder.mkdir(mode=0o755)
    (open_folder / "file").write_text("x")
    (open_folder / "file").chmod(0o644)
    found = attempts([str(open_folder), str(open_folder / "file")])
    assert str(open_folder / "file") in found["opened"]
    assert str(open_folder) in found["entered"]


def test_modes_do_not_rely_on_the_folder_alone(laptop):
    for path in everything(laptop.folder / "state"):
        mode = stat.S_IMODE(os.lstat(path).st_mode)
        if path.endswith("/lock") or "plugins-work" in path:
            continue
        assert not mode & 0o022, f"{path} {mode:o}"
        if "identity" in path or "spool" in path:
            assert not mode & 0o077, f"{path} {mode:o}"


@pytest.mark.parametrize("verb", ["collect-now", "reload", "stop"])
def test_admin_verbs_are_refused(laptop, verb):
    assert "only root" in as_nobody(laptop.folder / "run/agent.sock", verb)
    assert laptop.process.is_running()


def test_read_only_verbs_answer(laptop):
    sock = laptop.folder / "run/agent.sock"
    said = json.loads(as_nobody(sock, "status"))["result"]
    assert said["device_id"] == laptop.device_id()
    assert "verdicts" in as_nobody(sock, "issues")
    # What strangers are told holds neither values of plugins nor keys.
    text = as_nobody(sock, "status") + as_nobody(sock, "issues")
    assert "do not read" not in text
    assert "PRIVATE" not in text


def test_socket_and_its_folder_cannot_be_replaced(laptop):
    run = laptop.folder / "run"
    for words in (
        ["rm", "-f", run / "agent.sock"],
        ["mv", run / "agent.sock", run / "other"],
        ["ln", "-s", "/dev/null", run / "x"],
        ["touch", laptop.local / "planted"],
        ["touch", laptop.config],
    ):
        assert as_stranger(*words).returncode != 0, words
    assert laptop.status()["running"]


def command_by_stranger(laptop, *words):
    """Run a command of the agent's; it is loaded first, as the checkout may be closed to others."""
    program = [sys.executable, "-c", LOADED, str(STRANGER), "--config", str(laptop.config)]
    return subprocess.run(
        [*program, *words],
        input="x\n",
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
        cwd="/",
        env={"PATH": "/usr/bin:/bin", "LANG": "C.UTF-8"},
    )


def test_commands_that_change_something_are_refused(laptop):
    laptop.config.chmod(0o644)
    done = command_by_stranger(laptop, "status")
    assert laptop.device_id() in done.stdout, done.stderr
    for words in (["unenroll"], ["enroll"], ["run"]):
        done = command_by_stranger(laptop, *words)
        assert done.returncode in {4, 6}, (words, done.stdout, done.stderr)
    assert laptop.status()["running"]
    assert (laptop.folder / "state/identity/key.pem").exists()


def test_servers_keys_and_database_are_closed_too(fleet, state_dir):
    paths = everything(state_dir)
    names = {path.rpartition("/")[2] for path in paths}
    assert {"anchor.pem", "device-ca-key.pem", "mongo"} <= names
    socket = (state_dir / "mongo/socket").read_text()
    found = attempts([*paths, socket, str(fleet.server.config), os.path.dirname(socket)])  # noqa: PTH120
    assert found == {"opened": [], "entered": []}
    program = "import socket, sys; socket.socket(socket.AF_UNIX).connect(sys.argv[1])"
    done = as_stranger("/usr/bin/python3", "-I", "-c", program, socket)
    assert "PermissionError" in done.stderr
    assert fleet.server.process.is_running()
