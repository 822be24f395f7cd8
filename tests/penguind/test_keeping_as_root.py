"""Root backs up and restores: root writes its own folders, the server's user all else."""

from __future__ import annotations

import os
import shutil
import stat

import pytest

from tests.harness import process
from tests.harness.process import BIN, environment
from tests.harness.server import NOBODY, server_not_set_up

pytestmark = pytest.mark.root


def as_root(server, *words):
    """Run a penguind command with root's own powers."""
    line = [BIN / "penguind", "--config", server.config, *words]
    done = process.run(line, env=environment(HOME="/root"))
    assert done.returncode == 0, done.stderr
    return done


def test_root_restores_for_the_services_user():
    with server_not_set_up() as server:
        server.folder.rmdir()
        server.setup(options=("--user", "nobody"))
        # Only root may write here, as in /etc and /var/lib.
        os.chown(server.folder, 0, 0)
        server.folder.chmod(0o755)
        backup = server.folder / "whole.backup"
        as_root(server, "backup", backup)
        facts = backup.stat()
        assert (facts.st_uid, stat.S_IMODE(facts.st_mode)) == (0, 0o600)
        shutil.rmtree(server.folder / "state")
        server.config.unlink()
        as_root(server, "restore", backup, "--yes")
        facts = server.config.stat()
        assert (facts.st_uid, stat.S_IMODE(facts.st_mode)) == (0, 0o640)
        state = server.folder / "state"
        owners = {path.lstat().st_uid for path in (state, *state.rglob("*"))}
        assert owners == {NOBODY}
        assert stat.S_IMODE(state.stat().st_mode) == 0o700
        as_root(server, "check-config")
        as_root(server, "operator", "list")
        assert (
            "secret-files"
            in process.run(
                [BIN / "penguind", "--config", server.config, "doctor"],
                env=environment(HOME="/root"),
            ).stdout
        )
