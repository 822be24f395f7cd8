"""Set-up that was interrupted, or whose files went missing, run again."""

from __future__ import annotations

import os
import signal
import subprocess
import sys

import psutil
import pytest

from penguind.config import load_settings
from penguind.setup.keys import verify_chain
from penguindome.tokens import decode_invitation
from tests.harness.server import NOBODY, server_not_set_up

# Ends itself as a power cut would, once the n-th file is written.
DYING = """
import os, signal, sys
from penguindome import durable
count = int(sys.argv.pop(1))
real = durable.write_file
def write(path, data, mode=0o600):
    global count
    count -= 1
    real(path, data, mode)
    if not count:
        os.kill(os.getpid(), signal.SIGKILL)
durable.write_file = write
from penguind.cli import main
main()
"""


@pytest.fixture
def server():
    with server_not_set_up() as made:
        yield made


def words(server, *more):
    found = ["setup", "--yes", "--state-dir", server.folder / "state", "--operator", "alice"]
    found += ["--address", "127.0.0.1", "--advertised-host", "127.0.0.1"]
    found += ["--main-port", server.main_port, "--bootstrap-port", server.bootstrap_port]
    return [*map(str, found), *map(str, more)]


def keys(server):
    found = (server.folder / "state").rglob("*-key.pem")
    return {path.name: path.read_bytes() for path in found}


def is_whole(server):
    line = server.run(*words(server)).strip().splitlines()[-1]
    settings = load_settings(server.config)
    state = settings.server.state_dir
    assert decode_invitation(line).fleet == settings.server.fleet_id
    anchor = (state / "authority/anchor.pem").read_bytes()
    verify_chain(settings.listen.certificate, settings.listen.key, anchor, "127.0.0.1")
    assert "all is well" in server.run("check-config")


def refused(server, *more):
    done = server.try_run(*words(server, *more))
    assert done.returncode == 1, done.stderr
    assert "Traceback" not in done.stderr
    return done.stderr.strip().splitlines()[-1]


@pytest.mark.parametrize("count", range(1, 11))
def test_one_that_was_killed_goes_on_where_it_was(server, count):
    line = server.words(*words(server))
    at = next(number for number, word in enumerate(line) if word.endswith("penguind"))
    line[at : at + 1] = [sys.executable, "-c", DYING, str(count)]
    done = subprocess.run(line, capture_output=True, text=True, timeout=60, check=False, cwd="/")
    assert done.returncode in {0, -signal.SIGKILL}, done.stderr
    before = keys(server)
    is_whole(server)
    after = keys(server)
    # The server's own key may be made anew until it has a certificate; nobody knows it yet.
    assert {name for name in before if before[name] != after[name]} <= {"server-key.pem"}
    running = [" ".join(one.info["cmdline"] or ()) for one in psutil.process_iter(["cmdline"])]
    assert not [one for one in running if str(server.folder) in one]


@pytest.mark.parametrize("name", ["device-ca-key.pem", "operator-ca-key.pem"])
def test_a_lost_authority_key_is_named(server, name):
    is_whole(server)
    before = keys(server)
    (server.folder / "state/authority" / name).unlink()
    said = refused(server)
    assert name in said
    assert "backup" in said
    del before[name]
    assert keys(server) == before


@pytest.mark.parametrize("name", ["device-ca.pem", "operator-ca.pem", "anchor.pem"])
def test_a_lost_authority_certificate_is_made_again_for_its_key(server, name):
    is_whole(server)
    before = keys(server)
    (server.folder / "state/authority" / name).unlink()
    is_whole(server)
    assert keys(server) == before


@pytest.mark.parametrize("name", ["server.pem", "server-key.pem"])
@pytest.mark.parametrize("fault", ["lost", "garbage"])
def test_half_a_server_certificate_is_replaced(server, name, fault):
    is_whole(server)
    path = server.folder / "state/tls" / name
    path.unlink()
    if fault == "garbage":
        path.write_text("garbage\n")
        path.chmod(0o600)
        if os.geteuid() == 0:
            os.chown(path, NOBODY, NOBODY)
    is_whole(server)


def test_lost_settings_are_not_made_up(server):
    is_whole(server)
    before = keys(server)
    kept = server.config.read_bytes()
    server.config.unlink()
    said = refused(server)
    assert "settings" in said
    assert "backup" in said
    assert keys(server) == before
    assert not server.config.exists()
    server.config.write_bytes(kept)
    server.config.chmod(0o600)
    if os.geteuid() == 0:
        os.chown(server.config, NOBODY, NOBODY)
    is_whole(server)


@pytest.mark.parametrize(
    ("option", "value", "said"),
    [
        ("--main-port", 9, "main_port is"),
        ("--state-dir", "/elsewhere", "state_dir is"),
        ("--advertised-host", "other.example", "advertised_host is 127.0.0.1, not other.example"),
        ("--database-uri", "mongodb://h/", "database_uri is not set, not mongodb://h/"),
        ("--user", "other", "user is"),
    ],
)
def test_options_that_contradict_kept_settings_are_refused(server, option, value, said):
    is_whole(server)
    before = {path: path.read_bytes() for path in (server.folder / "state/authority").iterdir()}
    text = refused(server, option, value)
    assert said in text
    assert str(server.config) in text
    after = {path: path.read_bytes() for path in (server.folder / "state/authority").iterdir()}
    assert after == before


def test_a_new_host_in_the_settings_gets_its_certificate(server):
    is_whole(server)
    before = keys(server)
    text = server.config.read_text()
    server.config.write_text(text.replace('"127.0.0.1"', '"127.0.0.2"'))
    done = server.try_run("run")
    assert done.returncode == 1
    assert "127.0.0.2" in done.stderr
    assert "penguind setup" in done.stderr
    server.run("setup", "--yes")
    assert "all is well" in server.run("check-config")
    after = keys(server)
    assert {name for name in before if before[name] != after[name]} == {"server-key.pem"}
