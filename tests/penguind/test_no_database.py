"""Neither a MongoDB of the site's own nor a mongod to run: said before anything is made."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path
from tempfile import mkdtemp

import pytest

from tests.harness.server import NOBODY, Server

# The wheel that development uses is not there.
WITHOUT = "import sys; sys.modules['fiftyone'] = None; from penguind.cli import main; main()"


@pytest.fixture
def server():
    folder = Path(mkdtemp(prefix="pd", dir="/tmp"))
    folder.chmod(0o711)
    yield Server(folder / "s")
    shutil.rmtree(folder)


def refused(server, *words):
    line = server.words(*words)
    at = next(number for number, word in enumerate(line) if word.endswith("penguind"))
    line[at : at + 1] = [sys.executable, "-c", WITHOUT]
    env = {"PATH": "/nonexistent", "HOME": str(server.folder), "LANG": "C.UTF-8"}
    line[0] = shutil.which(line[0]) or line[0]
    done = subprocess.run(
        line, capture_output=True, text=True, timeout=60, check=False, cwd="/", env=env
    )
    assert done.returncode == 1, done.stderr
    (said,) = done.stderr.strip().splitlines()
    assert said.startswith("penguind: there is no database: ")
    for remedy in ("database.uri", "install MongoDB 6.0", "penguindome[embedded]"):
        assert remedy in said


def test_set_up_makes_nothing(server):
    server.folder.mkdir(mode=0o700)
    if os.geteuid() == 0:
        os.chown(server.folder, NOBODY, NOBODY)
    refused(server, "setup", "--yes", "--state-dir", server.folder / "state")
    assert list(server.folder.iterdir()) == []


@pytest.mark.parametrize("words", [["run"], ["operator", "invite", "bob"], ["operator", "list"]])
def test_a_server_whose_mongod_is_gone_says_so(server, words):
    server.setup()
    refused(server, *words)
