"""penguind as a process: how it starts, refuses to start, and stops."""

from __future__ import annotations

import os
import shutil
import signal
import socket
import subprocess
import time
from pathlib import Path
from tempfile import mkdtemp

import psutil
import pytest

from penguind.notify import notify, watchdog_seconds
from penguindome.tokens import decode_invitation
from tests.harness.process import BIN
from tests.harness.server import Server


@pytest.fixture
def server():
    folder = Path(mkdtemp(prefix="pd", dir="/tmp"))
    folder.chmod(0o711)
    found = Server(folder / "s")
    yield found
    found.stop()
    shutil.rmtree(folder)


def refused(server, *words, config=None, as_is=False):
    """Run a command that must fail; return what it said."""
    line = server.words(*(words or ("run",)))
    if as_is:
        line = line[line.index("--") + 1 :] if "--" in line else line
    done = subprocess.run(
        line, capture_output=True, text=True, timeout=60, check=False, cwd="/", env=_environment()
    )
    assert done.returncode == 1, done.stderr
    assert "Traceback" not in done.stderr
    said = done.stderr.strip().splitlines()[-1]
    assert said.startswith("penguind: ")
    return said


def _environment():
    return {"PATH": os.environ["PATH"], "HOME": "/nonexistent", "LANG": "C.UTF-8"}


def change(server, old, new):
    text = server.config.read_text()
    assert old in text
    server.config.write_text(text.replace(old, new))


def test_it_serves_stops_in_good_order_and_leaves_nothing_running(server):
    server.setup()
    server.start()
    children = psutil.Process(server.process.pid).children(recursive=True)
    assert any("mongod" in child.name() for child in children)
    started = time.monotonic()
    os.kill(server.process.pid, signal.SIGTERM)
    while server.process.is_running():
        assert time.monotonic() - started < 15
        time.sleep(0.05)
    assert not any(child.is_running() for child in children)
    assert "Stopped" in server.log()
    server.start()
    assert "Traceback" not in server.log()


def test_operators_are_invited_while_it_runs_and_while_it_does_not(server):
    server.setup()
    first = server.run("operator", "invite", "bob", "--role", "admin", "--ttl", "1h")
    server.start()
    second = server.run("operator", "invite", "carol")
    names = [decode_invitation(line).operator_name for line in (first.strip(), second.strip())]
    assert names == ["bob", "carol"]
    said = refused(server, "operator", "invite", "Not A Name")
    assert "not an operator's name" in said
    assert "--ttl" not in said
    assert server.run("operator", "list") == ""
    assert "no such operator" in refused(server, "operator", "revoke", "dave")
    server.process.wait_until(lambda: True, 1, "it ended")


def test_it_outlives_its_database(server):
    server.setup()
    server.start()
    (mongod,) = (
        child
        for child in psutil.Process(server.process.pid).children(recursive=True)
        if "mongod" in child.name()
    )
    mongod.kill()
    server.process.wait_until(lambda: "starting it again" in server.log(), 20, "no restart")
    time.sleep(6)
    assert server.run("operator", "list") == ""
    server.process.wait_until(lambda: True, 1, "it ended")
    assert "Traceback" not in server.log()


def test_a_port_in_use_is_named(server):
    server.setup()
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", server.main_port))
        taken.listen()
        said = refused(server)
    assert f"127.0.0.1:{server.main_port}" in said
    assert "Address already in use" in said
    assert "ss -ltnp" in said


def test_a_second_server_on_the_same_state_is_refused(server):
    server.setup()
    server.start()
    change(server, f"main_port = {server.main_port}", f"main_port = {server.main_port + 1}")
    said = refused(server)
    assert "penguind" in said


def test_a_typo_in_the_settings_is_named(server):
    server.setup()
    change(server, "main_port", "main_prot")
    said = refused(server)
    assert "main_prot" in said
    assert "main_port" in said


def test_loose_modes_are_refused_with_the_remedy(server):
    server.setup()
    key = server.folder / "state/authority/device-ca-key.pem"
    key.chmod(0o644)
    assert f"chmod 0600 {key}" in refused(server)


def test_a_clock_before_the_certificate_is_named(server):
    server.setup()
    state = server.folder / "state"
    script = (
        "import sys; from penguind import tls; from datetime import *; from pathlib import Path\n"
        "from penguindome.errors import PenguinDomeError\n"
        "clock = lambda: datetime(2020, 1, 1, tzinfo=UTC)\n"
        "try: tls.CertificateSource(*map(Path, sys.argv[1:]), clock)\n"
        "except PenguinDomeError as error: print(error.text())"
    )
    python = str(Path(server.words("run")[-4]).parent / "python")
    paths = (state / "tls/server.pem", state / "tls/server-key.pem")
    done = subprocess.run(
        [python, "-c", script, *map(str, paths)],
        capture_output=True,
        text=True,
        check=True,
        timeout=60,
    )
    assert "the clock says 2020-01-01" in done.stdout


def test_without_settings_it_says_to_set_up(server):
    assert "penguind setup" in refused(server)


@pytest.mark.root
@pytest.mark.root
def test_as_root_without_its_user_it_refuses(server):
    server.setup()
    change(server, 'user = "nobody"', 'user = "root"')
    said = refused(server, as_is=True)
    assert "does not run as root" in said


def test_the_service_manager_hears_states(tmp_path, monkeypatch):
    folder = Path(mkdtemp(prefix="pd", dir="/tmp"))
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as receiver:
        receiver.bind(str(folder / "n"))
        monkeypatch.setenv("NOTIFY_SOCKET", str(folder / "n"))
        notify("READY=1")
        assert receiver.recv(100) == b"READY=1"
    shutil.rmtree(folder)
    notify("READY=1")
    monkeypatch.setenv("WATCHDOG_USEC", "30000000")
    assert watchdog_seconds() == 15
    monkeypatch.setenv("WATCHDOG_PID", "1")
    assert watchdog_seconds() is None


@pytest.mark.root
@pytest.mark.root
def test_root_sets_up_and_starts_it_and_it_runs_as_the_user(server, tmp_path):
    server.folder.mkdir(mode=0o755)
    server.config = server.folder / "etc/penguind/penguind.toml"
    server.words = lambda *words: [
        str(BIN / "penguind"),
        *("--config", str(server.config)),
        *map(str, words),
    ]
    secret = tmp_path / "invitation"
    server.run(
        *("setup", "--yes", "--user", "nobody", "--state-dir", server.folder / "lib/penguind"),
        *("--address", "127.0.0.1", "--advertised-host", "127.0.0.1"),
        *("--main-port", server.main_port, "--bootstrap-port", server.bootstrap_port),
        *("--operator", "alice", "--invitation-file", secret),
    )
    assert decode_invitation(secret.read_text()).operator_name == "alice"
    server.start()
    family = [psutil.Process(server.process.pid)]
    family += family[0].children(recursive=True)
    assert {process.uids().effective for process in family} == {65534}
    assert decode_invitation(server.run("operator", "invite", "bob").strip())
