"""What a run leaves behind: no folder, no process, no descriptor; and strangers are left alone."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import subprocess
import time
from datetime import timedelta
from pathlib import Path

import pytest

from penguin_agent.collect.collector import prepare_work_dir
from penguin_agent.collect.process_group import Family, end_strays
from penguin_agent.collect.runner import PluginSpec
from penguin_agent.collect.scratch import remove_tree
from penguindome.reports import OutputStatus

_DEEP = """#!/usr/bin/perl
for (1..1500) { mkdir "d"; chdir "d"; } chmod 0, "."; print "1\\n";
"""


def test_folders_deeper_than_python_can_follow_are_removed(bed):
    ran = bed.run(bed.write("plugin", _DEEP))
    assert ran.output.json == b"1"
    assert list((bed.work / "scratch").iterdir()) == []


def test_what_a_killed_agent_left_is_removed_at_the_next_start(bed):
    place = bed.work / "scratch" / "plugin-x"
    place.mkdir()
    subprocess.run(["/usr/bin/perl", "-e", _DEEP], cwd=place, check=True, stdout=subprocess.DEVNULL)
    (place / "file").write_text("x")
    (place / "link").symlink_to(bed.plugins)
    prepare_work_dir(bed.work)
    assert list((bed.work / "scratch").iterdir()) == []
    assert bed.plugins.is_dir()


def test_links_are_removed_and_not_followed(tmp_path):
    (tmp_path / "kept").mkdir()
    (tmp_path / "kept/file").write_text("x")
    (tmp_path / "top/sub").mkdir(parents=True)
    for place in ("top/link", "top/sub/link"):
        (tmp_path / place).symlink_to(tmp_path / "kept")
    remove_tree(tmp_path / "top")
    remove_tree(tmp_path / "never-there")
    assert [path.name for path in tmp_path.iterdir()] == ["kept"]
    assert (tmp_path / "kept/file").exists()


def test_plugin_without_room_for_its_folder_is_an_error(bed):
    path = bed.shell("plugin", "echo 1")
    (bed.work / "scratch").rmdir()
    ran = bed.run(path)
    assert ran.output.status is OutputStatus.ERROR
    assert ran.output.reason.startswith("cannot be started: ")


def test_many_runs_leave_no_descriptor_and_no_zombie(bed):
    spec = PluginSpec("plugin", bed.shell("plugin", "true & echo 1"), deadline=timedelta(20))

    async def runs(count):
        for _ in range(count):
            await asyncio.gather(*(bed.runner().run(spec) for _ in range(5)))
        return len(os.listdir("/proc/self/fd"))  # noqa: PTH208

    async def count():
        return await runs(1), await runs(20)

    before, after = asyncio.run(count())
    assert after == before
    assert _zombies() == []


def _zombies() -> list[str]:
    found = []
    for path in Path("/proc").glob("[0-9]*/stat"):
        with contextlib.suppress(OSError):
            state, parent = path.read_text(errors="replace").rpartition(")")[2].split()[:2]
            found += [path.parent.name] if (state, parent) == ("Z", str(os.getpid())) else []
    return found


def _stat(proc: Path, pid: int, *, group: int, started: int) -> None:
    (proc / str(pid)).mkdir(exist_ok=True)
    rest = " ".join(["0"] * 14)
    text = f"{pid} (x) S 1 {group} {group} {rest} 0 {started} 0\n"
    (proc / str(pid) / "stat").write_text(text)


def test_stranger_who_got_the_leaders_pid_is_left_alone(tmp_path, monkeypatch):
    _stat(tmp_path, 4000, group=4000, started=100)
    family = Family(4000, frozenset(), tmp_path)
    assert [process.pid for process in family.members()] == [4000]
    _stat(tmp_path, 4000, group=4000, started=900)
    _stat(tmp_path, 4001, group=4000, started=901)
    monkeypatch.setattr(os, "killpg", lambda *words: pytest.fail("a stranger's group"))
    assert family.members() == []
    assert family.signal(signal.SIGKILL) == 0


def test_what_plugins_of_a_killed_agent_left_is_ended_and_nothing_else(bed):
    ours = {"PD_VAR_DIR": str(bed.var), "PD_PLUGIN_NAME": "plugin"}
    kinds = [ours, {**ours, "PD_VAR_DIR": "/elsewhere"}, {"PD_VAR_DIR": str(bed.var)}]
    with contextlib.ExitStack() as stack:
        made = [subprocess.Popen(["/usr/bin/sleep", "30"], env=env) for env in kinds]
        for process in made:
            stack.callback(process.wait)
            stack.callback(process.kill)
        _wait_for_exec(made)
        assert end_strays(bed.var) == 1
        assert made[0].wait(10) == -signal.SIGKILL
        assert [process.poll() for process in made[1:]] == [None, None]


def _wait_for_exec(processes):
    for process in processes:
        comm = Path(f"/proc/{process.pid}/comm")
        for _ in range(200):
            if comm.read_text() == "sleep\n":
                break
            time.sleep(0.02)
