"""Plugins written into a short temporary folder, and a way to run them."""

from __future__ import annotations

import asyncio
import contextlib
import os
import shutil
import signal
import stat
import tempfile
import textwrap
import time
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from penguin_agent.collect.environment import common_environment, prepare_bin_dir
from penguin_agent.collect.limits import RunLimits
from penguin_agent.collect.runner import ChildRunner, PluginSpec

NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)
QUICK = RunLimits(
    kill_after=timedelta(seconds=0.5), watch_period=timedelta(seconds=0.05), processes=12
)


class Bed:
    """A folder with plugins in it."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.plugins = folder / "plugins"
        self.local = folder / "local"
        self.work = folder / "work"
        self.var = folder / "var"
        for path in (self.plugins, self.local, self.work / "scratch", self.var):
            path.mkdir(parents=True)
        prepare_bin_dir(self.work / "bin")

    def write(self, name: str, text: str, *, folder: Path | None = None, mode: int = 0o755) -> Path:
        path = (folder or self.plugins) / name
        path.write_text(textwrap.dedent(text).lstrip())
        path.chmod(mode)
        return path

    def python(self, name: str, text: str) -> Path:
        return self.write(name, "#!/usr/bin/env python3\n" + textwrap.dedent(text))

    def shell(self, name: str, text: str) -> Path:
        return self.write(name, "#!/bin/sh\n" + textwrap.dedent(text))

    def runner(self, limits: RunLimits = QUICK) -> ChildRunner:
        environment = common_environment(bin_dir=self.work / "bin", var_dir=self.var, settings=None)
        return ChildRunner(limits, environment, self.work / "scratch", lambda: NOW)

    def run(self, path: Path, *, seconds: float = 20, limits: RunLimits = QUICK):
        spec = PluginSpec(path.stem, path, deadline=timedelta(seconds=seconds))
        return asyncio.run(self.runner(limits).run(spec))

    def leftovers(self) -> list[int]:
        """Return pids of processes that carry this bed's marker or work in it."""
        pids = (int(p.name) for p in Path("/proc").iterdir() if p.name.isdecimal())
        return [pid for pid in pids if self._ours(pid)]

    def _ours(self, pid: int) -> bool:
        marker = f"PD_VAR_DIR={self.var}".encode()
        try:
            environ = Path(f"/proc/{pid}/environ").read_bytes().split(b"\0")
            state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
            cwd = Path(f"/proc/{pid}/cwd").readlink()
        except OSError:
            return False
        return state not in "ZX" and (marker in environ or cwd.is_relative_to(self.folder))

    def clear(self) -> list[int]:
        """Remove the folder; return the pids of what did not end soon."""
        for _ in range(50):
            if not (found := self.leftovers()):
                break
            time.sleep(0.1)
        for pid in found:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        shutil.rmtree(self.folder)
        return found


@pytest.fixture
def bed():
    bed = Bed(Path(tempfile.mkdtemp(prefix="pd")))
    yield bed
    assert bed.clear() == [], "a plugin's processes outlived it"


@pytest.fixture
def limits():
    return lambda **changes: replace(QUICK, **changes)


@pytest.fixture
def stopwatch():
    """Return the seconds since the test began."""
    begin = time.monotonic()
    return lambda: time.monotonic() - begin


@pytest.fixture
def is_private():
    return lambda path: not path.stat().st_mode & (stat.S_IRWXG | stat.S_IRWXO)
