"""The spool's bounds, damage and a full disk."""

import os
import resource
import signal
import subprocess
import tempfile
from dataclasses import replace
from pathlib import Path

import pytest

from penguin_agent.spool import SpoolLimits
from penguin_agent.state import STATE_LIMIT_OUTPUTS, State, as_full, chained, fitted, merged
from penguindome.reports import Report
from tests.penguin_agent.spool_machine import START, World, output, value

BIG = SpoolLimits(entries=8, bytes=1 << 20, message_bytes=1 << 20)
MIB = 1 << 20
WEEKS = 3


@pytest.fixture
def world(folder):
    return World(folder, BIG)


def test_unchanged_collections_collapse_to_a_few_bytes(world):
    world.plugins["disks"] = value(1, 5000)
    world.settle()
    for _time in range(100):
        world.collect()
    assert world.spool.depth == 1
    assert world.spool.size_bytes < 400


def test_a_report_that_answers_a_request_does_not_collapse(world):
    world.plugins["disks"] = value(1)
    world.settle()
    world.collect("r1")
    world.collect()
    world.collect("r2")
    world.settle()
    assert [r.request_id for r in world.server.stored if r.request_id] == ["r1", "r2"]


def test_weeks_offline_stay_within_the_bound_and_end_in_the_truth(world):
    for number in range(500):
        world.plugins["disks"] = value(number, 1000)
        world.plugins[f"p{number % 7}"] = value(number)
        world.collect()
        assert world.spool.depth <= BIG.entries
    world.settle()
    world.check()
    assert 2 < len(world.server.stored) <= BIG.entries + 1


def test_three_weeks_offline_are_bounded_and_nothing_is_broken(folder, monkeypatch):
    monkeypatch.setattr(os, "fsync", lambda _descriptor: None)  # the disk is not what is tried
    world = World(folder, SpoolLimits())
    world.plugins["disks"] = value(0)
    world.settle()
    for number in range(WEEKS * 7 * 24 * 12):
        world.plugins[f"p{number % 9}"] = value(number, 300)
        world.collect()
    assert world.spool.depth <= world.limits.entries
    assert world.spool.size_bytes <= world.limits.bytes
    world.settle()
    world.check()
    assert len(world.server.stored) > world.limits.entries // 2


def test_an_announced_output_that_goes_before_it_came_is_taken_back():
    came = Report("r1", b"", b"", START, "boot", (output("os", b"1"),), (), full=False)
    went = replace(came, outputs=(), removed=("os",))
    full = as_full(replace(came, outputs=()), State(), report_id="r2", coming={"os"})
    assert full.following == ("os",)
    assert chained(merged(came, went, report_id="r3"), State()).removed == ("os",)


def test_a_report_under_way_is_never_merged(world):
    world.plugins["disks"] = value(1)
    world.collect()
    under_way = world.spool.head()
    for number in range(50):
        world.plugins["disks"] = value(number)
        world.collect()
    assert world.spool.head() == under_way
    world.crash()
    assert world.spool.head() == under_way


def test_a_large_first_report_goes_in_parts(folder):
    world = World(folder, SpoolLimits(message_bytes=2000))
    for number in range(20):
        world.plugins[f"p{number}"] = value(number, 700)
    world.settle()
    world.check()
    first = world.server.stored[0]
    assert first.full
    assert len(first.following) > 10


def test_a_crash_while_a_report_is_cut_in_parts_leaves_each_part_once(folder):
    world = World(folder)
    world.settle()
    world.plugins |= {"disks": value(0), "firewall": value(0, 900)}
    world.server.forget()
    world.collect()
    world.collect()
    world.crash_at = "spool.part-written"
    world.survive(world.submit)
    del world.plugins["disks"]
    world.submit()
    world.settle()
    world.check()


def test_damaged_files_cost_nothing_but_a_new_collection(world):
    world.plugins["disks"] = value(1)
    world.settle()
    world.plugins["disks"] = value(2)
    world.collect()
    (report,) = (world.folder / "spool").iterdir()
    report.write_bytes(report.read_bytes()[:-1])
    (world.folder / "state/acknowledged").write_bytes(b"nonsense")
    world.crash()
    world.settle()
    world.check()


def test_half_written_files_are_swept_away(world):
    (world.folder / "spool/.000000000001-0000.report.abc.tmp").write_bytes(b"half")
    world.crash()
    assert not list((world.folder / "spool").iterdir())


def test_dead_letters_are_bounded(world):
    for number in range(50):
        world.plugins["disks"] = value(number)
        world.server.poison.add(value(number))
        world.settle()
    assert len(list((world.folder / "dead-letters").iterdir())) == 32
    world.check()


def test_outputs_too_large_for_any_report_are_named_not_lost():
    outputs = [output(f"p{n}", b'"' + b"x" * (MIB - 100) + b'"') for n in range(12)]
    fitting = fitted(outputs, State())
    assert len(fitting) == 12
    assert {o.reason for o in fitting if not o.json} == {
        "left out, since all outputs together are larger than a report may be"
    }
    many = [output(f"p{n}", b"1") for n in range(400)]
    assert len(fitted(many, State())) == STATE_LIMIT_OUTPUTS


def test_a_full_disk_delays_nothing_and_recovers_by_itself(world):
    """RLIMIT_FSIZE 0 makes every write fail as a full disk does."""
    world.plugins["disks"] = value(1)
    world.settle()
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    handler = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    try:
        resource.setrlimit(resource.RLIMIT_FSIZE, (0, before[1]))
        for number in range(2, 30):
            world.plugins["disks"] = value(number)
            world.collect()
            world.submit()
        assert world.server.values["disks"] == value(29)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
        signal.signal(signal.SIGXFSZ, handler)
    world.settle()
    world.check()
    world.crash()
    world.plugins["disks"] = value(30)
    world.settle()
    world.check()


@pytest.mark.root
def test_a_tmpfs_that_is_full_loses_no_state():
    mount = Path(tempfile.mkdtemp(prefix="pd"))
    command = ["mount", "-t", "tmpfs", "-o", "size=256k", "tmpfs", str(mount)]
    subprocess.run(command, check=True, capture_output=True, timeout=30)
    try:
        world = World(mount, BIG)
        world.plugins["disks"] = value(1)
        world.settle()
        filler = mount / "filler"
        with pytest.raises(OSError, match="space"):
            filler.write_bytes(b"x" * MIB)
        world.plugins["disks"] = value(2, 8000)
        world.collect()
        world.submit()
        assert world.server.values["disks"] == value(2, 8000)
        world.crash()
        assert world.spool.acknowledged.outputs["disks"].json == value(1)
        filler.unlink()
        world.settle()
        world.check()
    finally:
        subprocess.run(["umount", str(mount)], check=False, timeout=30)
        mount.rmdir()
