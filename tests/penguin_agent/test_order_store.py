"""What was done is remembered, or it is known that it was not: never in between."""

import os
import shutil
import sqlite3
import subprocess
import tempfile
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest

from penguin_agent.clock import boottime
from penguin_agent.orders.refusals import Refused
from penguin_agent.orders.store_file import StoreFile
from penguindome.errors import LimitExceeded, PreconditionFailed
from penguindome.ids import new_ulid
from penguindome.times import utc_now
from tests.penguin_agent.order_acts import DAY, MINUTE, recorded_device, release, settled
from tests.penguin_agent.order_device import claimed_id, until

TMPFS_BYTES = 384 * 1024


@pytest.fixture
def device(folder, fleet):
    return recorded_device(folder, fleet)


def taken(device):
    """Have a device do one thing; return the order."""
    envelope = device.command("true")

    async def story(device):
        assert (await device.done(envelope)).state == "succeeded"

    device.run(story)
    return envelope


def lost(device):
    (device.folder / "orders" / "orders.db").unlink()


def lost_folder(device):
    shutil.rmtree(device.folder / "orders")


def overwritten(device):
    path = device.folder / "orders" / "orders.db"
    size = path.stat().st_size
    with path.open("r+b") as file:
        file.seek(100)
        file.write(os.urandom(size - 100))


def truncated(device):
    os.truncate(device.folder / "orders" / "orders.db", 5000)


def emptied(device):
    os.truncate(device.folder / "orders" / "orders.db", 0)


def brought_back(device):
    """A copy of the whole state, as a backup has it."""
    copy = device.folder.parent / "copy"
    shutil.copytree(device.folder, copy, symlinks=True)
    shutil.rmtree(device.folder)
    copy.rename(device.folder)


@pytest.mark.parametrize("lose", [lost, lost_folder, overwritten, truncated, emptied, brought_back])
def test_a_memory_that_is_lost_obeys_nothing_older_than_itself(fleet, lose, monkeypatch):
    with own_folder() as folder:
        device = recorded_device(folder / "state", fleet)
        done = taken(device)
        device.wall.offset = 10 * MINUTE
        before = device.command("true")
        older = release(device, 7)
        lose(device)
        device.wall.offset = 12 * MINUTE

        async def after(device):
            for envelope in (before, older):
                receipt = await device.done(envelope)
                assert (receipt.state, receipt.code) == ("refused", "memory-lost")
            device.post.receipts.clear()
            device.put(done)
            await until(lambda: device.post.last(claimed_id(done)))
            # Time goes on, which is not the same as a clock that is put right.
            device.wall.offset = 30 * MINUTE
            ahead = 18 * MINUTE.total_seconds()
            monkeypatch.setattr("penguin_agent.orders.store.boottime", lambda: boottime() + ahead)
            assert (await device.done(device.command("true"))).state == "succeeded"

        device.run(after)
        assert len(device.act.ran) == 2


def test_a_device_that_has_just_come_takes_what_was_written_before(device):
    envelope = device.command("true")
    published = release(device, 7)
    device.wall.offset = MINUTE

    async def story(device):
        assert (await device.done(envelope)).state == "succeeded"
        assert (await device.done(published)).state == "succeeded"

    device.run(story)


def test_a_memory_of_a_later_version_is_left_alone(folder):
    file = StoreFile(folder)
    now = utc_now()
    file.open(now)
    file.close()
    with sqlite3.connect(file.path) as connection:
        connection.execute("PRAGMA user_version=99")
    connection.close()
    with pytest.raises(PreconditionFailed) as error:
        file.open(now)
    assert error.value.code == "other-version"
    assert not file.is_open


def test_a_memory_that_others_can_read_is_not_used(folder):
    file = StoreFile(folder)
    file.open(utc_now())
    file.close()
    file.folder.chmod(0o755)
    with pytest.raises(PreconditionFailed) as error:
        file.open(utc_now())
    assert "chmod 0700" in error.value.remedy


def test_old_orders_are_forgotten_30_days_after_they_expired(device):
    async def story(device):
        envelope = device.command("true")
        receipt = await device.done(envelope)
        await until(lambda: not device.orders.store.outbox.unsent(1000, 10))
        now = device.wall()
        store = device.orders.store
        assert store.forget(now + 30 * DAY) == []
        assert store.forget(now + 31 * DAY) == [receipt.order_id]
        assert store.find(receipt.order_id) is None

    device.run(story)


def test_what_was_called_off_early_is_remembered_as_long_as_it_could_come(device):
    envelope = device.command("true")

    async def story(device):
        await device.done(device.cancel(claimed_id(envelope)))
        store = device.orders.store
        store.forget(device.wall() + 59 * DAY)
        assert store.refusals.called_off(claimed_id(envelope))
        store.forget(device.wall() + 61 * DAY)
        assert not store.refusals.called_off(claimed_id(envelope))

    device.run(story)


def test_what_was_refused_is_told_for_a_week_after_it_came_last(device):
    now = utc_now()

    def refuse(store, letter, time):
        refused = Refused(letter * 64, "", "command", "not-signed", f"why {letter}", time, time)
        store.refusals.add(refused, None)

    async def story(device):
        store = device.orders.store
        assert store.refusals.count(now) == (0, "")
        refuse(store, "a", now)
        refuse(store, "b", now + DAY)
        assert store.refusals.count(now + DAY) == (2, "why b")
        assert store.refusals.count(now + 7 * DAY + MINUTE) == (1, "why b")
        assert store.refusals.count(now + 8 * DAY + MINUTE) == (0, "")
        refuse(store, "a", now + 8 * DAY)
        assert store.refusals.count(now + 9 * DAY) == (1, "why a")

    device.run(story)


@pytest.mark.root
def test_an_order_that_a_full_disk_does_not_remember_is_not_acted_on(fleet, monkeypatch):
    monkeypatch.setattr("penguin_agent.orders.intake.RETRY_SECONDS", 0.2)
    monkeypatch.setattr("penguin_agent.orders.acting.RETRY_SECONDS", 0.2)
    with small_disk() as folder:
        device = recorded_device(folder, fleet)
        done = taken(device)

        async def full(device):
            fill(folder / "fill")
            waits = device.put(device.command("true", "x" * 20_000))
            await until(lambda: fails_to_remember(device))
            await settled(device)
            assert waits not in device.act.ran
            (folder / "fill").unlink()
            assert (await device.ended(waits)).state == "succeeded"

        device.run(full)
        assert claimed_id(done) in device.act.ran


def fill(path):
    """Write until the disk is full."""
    with path.open("wb", buffering=0) as file, suppress(OSError):
        while file.write(b"x" * 512):
            pass


def fails_to_remember(device):
    """Use up what room the database still has of its own."""
    try:
        device.orders.store.refusals.call_off(
            [new_ulid(device.wall()) for _ in range(50)], "command", "x", device.wall()
        )
    except LimitExceeded:
        return True
    return False


@contextmanager
def own_folder():
    path = Path(tempfile.mkdtemp(prefix="pd"))
    try:
        yield path
    finally:
        shutil.rmtree(path)


@contextmanager
def small_disk():
    with own_folder() as path:
        words = ["mount", "-t", "tmpfs", "-o", f"size={TMPFS_BYTES},mode=700", "none", str(path)]
        subprocess.run(words, check=True, timeout=30)
        try:
            yield path
        finally:
            subprocess.run(["umount", str(path)], check=True, timeout=30)
