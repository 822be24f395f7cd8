"""penguind operator invite, in every situation that an administrator may be in."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path
from tempfile import mkdtemp

import pytest

from penguindome.tokens import decode_invitation
from tests.harness.operator import Operator
from tests.harness.process import BIN, environment
from tests.harness.server import Server

STRANGER = 65533


@pytest.fixture(scope="module")
def server():
    folder = Path(mkdtemp(prefix="pd", dir="/tmp"))
    folder.chmod(0o711)
    made = Server(folder / "s")
    made.setup()
    yield made
    made.stop()
    shutil.rmtree(folder)


@pytest.fixture
def running(server):
    server.start()
    yield server
    server.stop()


def refused(done, *expected, status=1):
    assert done.returncode == status, done.stdout + done.stderr
    assert "Traceback" not in done.stderr
    assert done.stdout == ""
    for word in expected:
        assert word in done.stderr


def invited(server, name, *words):
    line = server.run("operator", "invite", name, *words).strip()
    found = decode_invitation(line)
    assert found.operator_name == name
    return line, found


def become(server, folder, name, line):
    file = folder / f"{name}.line"
    file.write_text(line + "\n")
    file.chmod(0o600)
    operator = Operator(folder / name)
    try:
        return operator, operator.try_run(
            *("init", "--invitation-file", file), *("--gpg-home", folder / name / "gnupg")
        )
    finally:
        operator.close()


def test_while_it_is_stopped_and_after_it_is_started(server, folder):
    line, _ = invited(server, "bob", "--role", "admin")
    server.start()
    try:
        operator, done = become(server, folder, "bob", line)
        assert done.returncode == 0, done.stderr
        assert operator.json("device", "list")["devices"] == []
    finally:
        server.stop()


def test_an_existing_name_gets_a_new_key_and_the_former_one_ends(running, folder):
    first, _ = invited(running, "carol")
    second, _ = invited(running, "carol")
    former, done = become(running, folder, "carol", second)
    assert done.returncode == 0, done.stderr
    third, _ = invited(running, "carol", "--role", "viewer")
    # Until it is used, the former key works.
    assert former.json("device", "list")["devices"] == []
    (folder / "new").mkdir()
    latter, done = become(running, folder / "new", "carol", third)
    assert done.returncode == 0, done.stderr
    assert latter.json("device", "list")["devices"] == []
    assert former.try_run("device", "list").returncode == 4
    (folder / "late").mkdir()
    _, done = become(running, folder / "late", "carol", first)
    assert done.returncode != 0
    assert "invitation" in done.stderr


@pytest.mark.parametrize(
    ("words", "expected", "status"),
    [
        (["dave", "--role", "king"], ["king", "viewer"], 2),
        (["Not A Name"], ["not an operator's name"], 1),
        (["dave", "--ttl", "1y"], ["1y"], 1),
        (["dave", "--ttl", "90d"], ["30 days"], 1),
        ([], ["NAME"], 2),
    ],
)
def test_what_cannot_be_is_named(server, words, expected, status):
    refused(server.try_run("operator", "invite", *words), *expected, status=status)


def as_user(server, uid, *words):
    line = [str(BIN / "penguind"), "--config", str(server.config), *words]
    if uid:
        line = ["setpriv", f"--reuid={uid}", f"--regid={uid}", "--clear-groups", "--", *line]
    return subprocess.run(
        line, capture_output=True, text=True, timeout=60, check=False, cwd="/", env=environment()
    )


@pytest.mark.root
def test_root_becomes_the_services_user(server):
    done = as_user(server, 0, "operator", "invite", "erin")
    assert done.returncode == 0, done.stderr
    assert decode_invitation(done.stdout.strip()).operator_name == "erin"
    strangers = [
        path
        for path in (server.folder / "state").rglob("*")
        if path.stat().st_uid != server.folder.stat().st_uid
    ]
    assert strangers == []


@pytest.mark.root
def test_somebody_else_is_refused(server):
    done = as_user(server, STRANGER, "operator", "invite", "frank")
    assert done.returncode != 0
    assert done.stdout == ""
    # Where the checkout is open to others, they are told what to do.
    assert "sudo" in done.stderr or "ermission denied" in done.stderr
