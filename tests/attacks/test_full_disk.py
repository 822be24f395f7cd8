"""A device's disk fills up while it lives: nothing is lost, nobody helps, and it is no clone."""

import os
import signal
import subprocess

import pytest

from tests.attacks.test_clones import confirmed, connected, shown
from tests.harness.process import wait_until
from tests.stories.test_long_sleep import year_old

pytestmark = [pytest.mark.root, pytest.mark.timeout(120)]
SETTINGS = """
[schedule]
submit_interval_minutes = "1s"
"""
WHAT_COUNTS = ("identity", "trust", "ratchet")


class Disk:
    """A file system as small as the standard's row demands, of which a folder is all."""

    def __init__(self, folder):
        """Mount it; it has room."""
        self.folder = folder
        folder.mkdir(mode=0o700)
        mount = ["mount", "-t", "tmpfs", "-o", "size=256k,mode=0700", "tmpfs", str(folder)]
        subprocess.run(mount, check=True, timeout=20)

    def fill(self):
        """Leave no byte free."""
        with self._filler.open("ab", buffering=0) as file, pytest.raises(OSError, match="space"):
            self._pour(file)

    @staticmethod
    def _pour(file):
        while True:
            file.write(b"x" * 4096)

    def free(self):
        """Give the room back."""
        self._filler.unlink(missing_ok=True)

    def unmount(self):
        """End it; a program that is still there shall not hinder us."""
        subprocess.run(["umount", "--lazy", str(self.folder)], check=True, timeout=20)

    @property
    def _filler(self):
        return self.folder / "filler"


@pytest.fixture
def number(tmp_path):
    """Return the file whose number the device's plugin reports."""
    path = tmp_path / "number"
    path.write_text("1")
    return path


@pytest.fixture
def laptop(fleet, number):
    plugins = fleet.plugins(number=f"#!/bin/sh\nexec cat {number}\n")
    made = fleet.device(plugins=plugins, settings=SETTINGS)
    disk = made.disk = Disk(made.folder / "state")
    try:
        made.enroll(fleet.alice.token())
        made.start()
        fleet.wait_for_report(made)
        yield made
        made.stop()
    finally:
        disk.unmount()


def kept(laptop):
    """Return what must never be lost: names and contents."""
    folder = laptop.folder / "state"
    paths = [path for name in WHAT_COUNTS for path in (folder / name).rglob("*")]
    paths += [path for path in folder.glob("ratchet*") if path.is_file()]
    return {str(path): path.read_bytes() for path in paths if path.is_file()}


def stored(fleet, laptop):
    return {one["name"]: one for one in fleet.shown(laptop)["outputs"]}["number"].get("value")


def not_a_clone(fleet, laptop):
    found = shown(fleet, laptop.device_id())
    return found["state"] == "active" and "clone-suspected" not in found["open_issues"]


def test_check_ins_and_reports_on_a_full_disk(fleet, database, laptop, number):
    device_id = laptop.device_id()
    base = confirmed(database, device_id)
    before = kept(laptop)
    assert any("identity" in name for name in before)
    laptop.disk.fill()
    number.write_text("2")
    for death in (signal.SIGKILL, signal.SIGTERM, signal.SIGKILL):
        os.kill(laptop.process.pid, death)
        laptop.process.wait(20)
        laptop.start()
        connected(fleet, device_id)
        assert not_a_clone(fleet, laptop)
        assert kept(laptop) == before
    wait_until(lambda: stored(fleet, laptop) == 2, 30, "a full disk holds reports back")
    # Nothing was confirmed meanwhile: the value that counts is the one that is on the disk.
    assert bytes(database.records["ratchets"].find_one({"_id": device_id})["base"]) == base
    laptop.disk.free()
    number.write_text("3")
    laptop.stop()
    laptop.start()
    confirmed(database, device_id, base)
    wait_until(lambda: stored(fleet, laptop) == 3, 30, "it does not recover")
    assert not_a_clone(fleet, laptop)


def test_a_new_trust_document_on_a_full_disk(fleet, laptop):
    folder = laptop.folder / "state/trust"
    before, names = kept(laptop), {path.name for path in folder.iterdir()}
    laptop.disk.fill()
    fleet.alice.run("trust", "renew")
    wait_until(lambda: "is not taken" in laptop.log(), 30, "the document was never tried")
    assert laptop.process.is_running()
    assert kept(laptop) == before
    laptop.disk.free()
    laptop.stop()
    laptop.start()
    wait_until(lambda: {path.name for path in folder.iterdir()} > names, 30, "it stays behind")
    assert not_a_clone(fleet, laptop)


def test_a_renewal_on_a_full_disk(fleet, laptop, number):
    laptop.stop()
    path = laptop.folder / "state/identity/certificate.pem"
    expired = year_old(path.read_bytes(), fleet.server.folder / "state")
    path.write_bytes(expired)
    before = kept(laptop)
    laptop.disk.fill()
    laptop.start()
    wait_until(lambda: "No connection" in laptop.log(), 60, "it never tried to renew")
    assert kept(laptop) == before
    laptop.disk.free()
    wait_until(lambda: path.read_bytes() != expired, 60, "it does not renew")
    connected(fleet, laptop.device_id())
    number.write_text("2")
    fleet.alice.run("device", "collect", laptop.device_id())
    wait_until(lambda: stored(fleet, laptop) == 2, 30, "it does not recover")
    assert not_a_clone(fleet, laptop)
