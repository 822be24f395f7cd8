"""Whoever had the server left links in its state folder: root's commands do not follow them."""

from __future__ import annotations

import os
import shutil
from datetime import UTC, datetime, timedelta
from pathlib import Path
from tempfile import mkdtemp

import pytest

from tests.harness import process
from tests.harness.server import NOBODY, Server

pytestmark = [pytest.mark.root, pytest.mark.timeout(120)]


@pytest.fixture
def place():
    """Return a folder as /var/lib: root's, and open to all who want to pass."""
    folder = Path(mkdtemp(prefix="pd", dir="/tmp"))
    folder.chmod(0o755)
    yield folder
    shutil.rmtree(folder)


@pytest.fixture
def machine(place):
    """Return a machine whose server was set up by root for the service's user, nobody."""
    made = Server(place)
    done = as_root(
        made,
        *("setup", "--yes", "--state-dir", place / "state", "--user", "nobody"),
        *("--address", "127.0.0.1", "--advertised-host", "127.0.0.1", "--operator", "alice"),
        *("--main-port", made.main_port, "--bootstrap-port", made.bootstrap_port),
        *("--invitation-file", made.invitation),
    )
    assert done.returncode == 0, done.stderr
    with made.config.open("a", encoding="utf-8") as file:
        file.write(f'\n[checks]\ndirectory = "{place}/etc/checks.d"\n')
    return made


@pytest.fixture
def roots(place):
    """Return a folder of root's that nobody else may write to or look into, e.g. /etc/cron.d."""
    folder = place / "roots"
    folder.mkdir(mode=0o700)
    (folder / "secret.yaml").write_text("a secret of root's\n")
    return folder


def as_root(server, *words):
    line = server.words(*words)
    return process.run(line[line.index("--") + 1 :], env=server._environment())


def contents(folder):
    return {path.name: (path.read_bytes(), path.stat().st_uid) for path in folder.iterdir()}


def link(path, target):
    """Plant a link as the service's user does."""
    path.symlink_to(target)
    os.chown(path, NOBODY, NOBODY, follow_symlinks=False)


def folder_of_service(path):
    path.mkdir()
    os.chown(path, NOBODY, NOBODY)
    return path


def backed_up(machine):
    path = machine.folder / "good.backup"
    done = as_root(machine, "backup", path)
    assert done.returncode == 0, done.stderr
    return path


def restored(machine, path):
    return as_root(machine, "restore", path, "--yes", "--replace")


def test_a_link_for_the_folder_of_a_restore(machine, roots):
    backup, before = backed_up(machine), contents(roots)
    home = machine.folder / "state/.restoring"
    link(home, roots)
    done = restored(machine, backup)
    assert done.returncode == 1
    assert "Traceback" not in done.stderr
    assert contents(roots) == before
    home.unlink()
    # The control: without the link the same restore goes well, and all is the service's.
    done = restored(machine, backup)
    assert done.returncode == 0, done.stderr
    state = machine.folder / "state"
    assert {path.lstat().st_uid for path in (state, *state.rglob("*"))} == {NOBODY}


@pytest.mark.parametrize("name", ["files", "checks"])
def test_links_in_a_restore_that_seems_to_be_nearly_done(machine, roots, name):
    backup, before = backed_up(machine), contents(roots)
    header = as_root(machine, "backup", "verify", backup).stdout
    assert "whole" in header
    home = folder_of_service(machine.folder / "state/.restoring")
    (home / "complete").write_text(backup_id(backup))
    link(home / name, roots)
    done = restored(machine, backup)
    assert done.returncode != 0
    assert "Traceback" not in done.stderr
    assert contents(roots) == before
    assert not list(machine.folder.rglob("checks.d/secret.yaml"))


def test_what_root_restores_is_open_to_the_service(machine):
    checks = machine.folder / "etc/checks.d"
    checks.mkdir(parents=True)
    (checks / "ours.yaml").write_text("name: ours\n")
    backup = backed_up(machine)
    shutil.rmtree(machine.folder / "etc")
    done = restored(machine, backup)
    assert done.returncode == 0, done.stderr
    modes = [(machine.folder / name).stat().st_mode & 0o777 for name in ("etc", "etc/checks.d")]
    assert modes == [0o755, 0o755]


def backup_id(path):
    data = path.read_bytes()
    start = data.index(b'"backup_id"')
    return data[start:].split(b'"', 4)[3].decode()


def test_a_link_where_a_restore_moves_things_aside(machine, roots):
    """The names are known before, for they hold the time: the service's user plants many."""
    backup, before = backed_up(machine), contents(roots)
    now = datetime.now(UTC)
    for seconds in range(60):
        stamp = now + timedelta(seconds=seconds)
        link(machine.folder / f"state/.before-restore-{stamp:%Y%m%d%H%M%S}", roots)
    done = restored(machine, backup)
    assert done.returncode == 1
    assert "Traceback" not in done.stderr
    assert contents(roots) == before


def test_links_among_keys_when_root_sets_up_again(machine, roots):
    state, before = machine.folder / "state", contents(roots)
    (state / "authority").rename(state / "authority-elsewhere")
    link(state / "authority", roots)
    done = as_root(machine, "setup", "--yes", "--user", "nobody")
    assert done.returncode != 0
    assert "Traceback" not in done.stderr
    assert contents(roots) == before
    assert roots.stat().st_uid == 0
    (state / "authority").unlink()
    (state / "authority-elsewhere").rename(state / "authority")
    done = as_root(machine, "setup", "--yes", "--user", "nobody")
    assert done.returncode == 0, done.stderr
