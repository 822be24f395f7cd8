"""Backups in an attacker's hands, and full disks: refused with the place, and nothing half-done."""

from __future__ import annotations

import io
import os
import shutil

import bson
import pytest

from penguind.backup.frames import FrameWriter, magic, read_frames
from tests.harness import process
from tests.harness.server import NOBODY, Server

NO_DISK = ("prlimit", "--fsize=0", "--")
SMALL_DISK = ("prlimit", "--fsize=3000", "--")


@pytest.fixture(scope="module")
def backup(fleet):
    """Return a good backup of the fleet."""
    path = fleet.server.folder / "good.backup"
    fleet.server.run("backup", path)
    yield path
    path.unlink()


@pytest.fixture
def empty(fleet):
    """Return a machine without settings and state."""
    machine = Server(fleet.folder / "empty")
    machine.folder.mkdir(mode=0o700)
    if os.geteuid() == 0:
        os.chown(machine.folder, NOBODY, NOBODY)
    yield machine
    machine.stop()
    shutil.rmtree(machine.folder)


def limited(server, limit, *words):
    """Run a penguind command whose files cannot grow."""
    return process.run([*limit, *server.words(*words)], env=server._environment())


def restored(machine, path, *words):
    words = ("restore", path, "--yes", "--into-state-dir", machine.folder / "state", *words)
    return machine.try_run(*words)


def planted(machine, data):
    """Write a file that the machine's user can read."""
    path = machine.folder / "planted.backup"
    path.write_bytes(data)
    path.chmod(0o644)
    return path


def refused(machine, data):
    """Return why a backup is refused; nothing may be left of the attempt."""
    path = planted(machine, data)
    done = restored(machine, path)
    assert done.returncode == 1, done.stdout
    assert sorted(one.name for one in machine.folder.iterdir()) == [path.name]
    assert "Traceback" not in done.stderr
    return done.stderr


def rechained(data, change):
    """Return a backup with changed frames and right hashes, as a forger makes it."""
    frames = [change(one.kind, one.payload) for one in read_frames(io.BytesIO(data))]
    writer = FrameWriter()
    return magic() + b"".join(writer.frame(kind, payload) for kind, payload in frames)


def test_flipped_byte_and_cut_tail_are_refused_with_their_place(backup, empty):
    data = backup.read_bytes()
    flipped = bytearray(data)
    flipped[len(data) // 2] ^= 1
    assert "at byte" in refused(empty, bytes(flipped))
    assert "cut off (at byte" in refused(empty, data[:-20])
    assert "follows the end" in refused(empty, data + b"more")
    assert "no backup" in refused(empty, b"junk\n" + data)


def test_names_that_lead_elsewhere_are_refused(backup, empty):
    def climbing(kind, payload):
        changed = payload.replace(b'"authority/anchor.pem"', b'"../../escaped"')
        return kind, changed if kind == "F" else payload

    def planting(kind, payload):
        changed = payload.replace(b'"authority/anchor.pem"', b'".restoring/complete"')
        return kind, changed if kind == "F" else payload

    data = backup.read_bytes()
    for change in (climbing, planting):
        assert "leads elsewhere (at byte" in refused(empty, rechained(data, change))
    assert not (empty.folder.parent / "escaped").exists()


def test_another_fleets_backup_does_not_enter_a_fleet(fleet, backup, empty):
    empty.folder.rmdir()
    empty.setup()
    state = sorted(path.name for path in (empty.folder / "state").iterdir())
    settings = empty.config.read_bytes()
    for words in ((), ("--replace",)):
        said = empty.try_run("restore", planted(empty, backup.read_bytes()), "--yes", *words)
        assert (said.returncode, "is of the fleet" in said.stderr) == (1, True)
    assert sorted(path.name for path in (empty.folder / "state").iterdir()) == state
    assert empty.config.read_bytes() == settings


def test_documents_of_another_fleet_do_not_come_with_our_header(backup, empty):
    def lying(kind, payload):
        if kind != "d" or b"fleet_id" not in payload:
            return kind, payload
        return kind, bson.encode({"_id": "fleet", "fleet_id": "another"})

    data = rechained(backup.read_bytes(), lying)
    assert "belongs to the fleet another" in refused(empty, data)


def test_a_full_disk_leaves_no_half_backup(fleet, backup):
    path = fleet.server.folder / "full.backup"
    done = limited(fleet.server, SMALL_DISK, "backup", path)
    assert (done.returncode, "disk full" in done.stderr) == (1, True)
    assert not list(fleet.server.folder.glob("*full*"))
    assert not list(fleet.server.folder.glob(".*full*"))
    fleet.server.run("backup", path)
    assert "whole" in fleet.server.run("backup", "verify", path)
    path.unlink()


def test_a_full_disk_leaves_no_half_restore(backup, empty):
    path = planted(empty, backup.read_bytes())
    words = ("restore", path, "--yes", "--into-state-dir", empty.folder / "state")
    done = limited(empty, SMALL_DISK, *words)
    assert done.returncode == 1, done.stderr
    assert [one.name for one in empty.folder.iterdir()] == [path.name]
    assert restored(empty, path).returncode == 0
    assert (empty.folder / "state/authority/anchor.pem").exists()


def test_a_full_disk_leaves_the_settings_as_they_were(fleet):
    before = fleet.server.config.read_bytes()
    words = ("ports", "configure", "main", "--deprecated")
    done = limited(fleet.server, NO_DISK, *words)
    assert (done.returncode, "disk full" in done.stderr) == (1, True), done.stderr
    assert fleet.server.config.read_bytes() == before
    assert not list(fleet.server.folder.glob(".penguind.toml*"))


def test_a_backup_is_read_by_nobody_else(backup):
    assert backup.stat().st_mode & 0o777 == 0o600
