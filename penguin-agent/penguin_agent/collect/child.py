"""Run one program in its own session, watch it, and leave nothing of it behind.

Events come by asyncio's subprocess protocol, so that no reader task can outlive the run and the
pipes close even when somebody else still holds their other end.
"""

from __future__ import annotations

import asyncio
import signal
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING

from penguin_agent.child_events import STDOUT, ChildEvents
from penguin_agent.collect.process_group import Family
from penguin_agent.collect.result import Cause, Ended

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from datetime import timedelta
    from pathlib import Path

    from penguin_agent.collect.limits import RunLimits

_KILL_ROUNDS = 50
_KILL_PAUSE_SECONDS = 0.02
_DRAIN_SECONDS = 1.0
_HURRIED_KILL_ROUNDS = 5
_LOOK_SHARE = 5


@dataclass(frozen=True, slots=True)
class Job:
    """What to run; `environment` also tells its processes from everybody else's.

    `pass_fds` are descriptors that the child inherits.
    """

    argv: Sequence[str]
    environment: Mapping[str, str]
    folder: Path
    limits: RunLimits
    deadline: timedelta
    pass_fds: Sequence[int] = ()


async def run_child(job: Job) -> Ended:
    """Run a job to its end, whatever end that is."""
    loop = asyncio.get_running_loop()
    try:
        transport, protocol = await loop.subprocess_exec(
            lambda: _Protocol(job.limits),
            *job.argv,
            stdin=asyncio.subprocess.DEVNULL,
            env=dict(job.environment),
            cwd=job.folder,
            start_new_session=True,
            pass_fds=tuple(job.pass_fds),
        )
    except OSError as error:
        return Ended(Cause.NOT_STARTED, stderr=str(error).encode())
    family = Family(transport.get_pid(), markers(job.environment))
    try:
        cause = await _watch(protocol, family, job)
        await _end(protocol, family, job, cause)
    finally:
        for _ in range(_HURRIED_KILL_ROUNDS):  # cancelled: no time to wait
            if protocol.over or not family.signal(signal.SIGKILL):
                break
        transport.close()
    return Ended(
        cause, transport.get_returncode() or 0, bytes(protocol.stdout), bytes(protocol.stderr)
    )


def markers(environment: Mapping[str, str]) -> frozenset[bytes]:
    """Return the lines of /proc/pid/environ by which a run's processes are known, all or none."""
    names = ("PD_PLUGIN_NAME", "PD_VAR_DIR")
    if not all(environment.get(name) for name in names):
        return frozenset()
    return frozenset(f"{name}={environment[name]}".encode() for name in names)


class _Protocol(ChildEvents):
    """Keep what the child prints up to the caps, and tell when something happened."""

    def __init__(self, limits: RunLimits) -> None:
        super().__init__()
        self.stdout = bytearray()
        self.stderr = bytearray()
        self.over = False
        self._limits = limits

    @property
    def flooded(self) -> Cause | None:
        if len(self.stdout) > self._limits.stdout_bytes:
            return Cause.STDOUT
        return Cause.STDERR if len(self.stderr) > self._limits.stderr_bytes else None

    def pipe_data_received(self, fd: int, data: bytes) -> None:
        if self.flooded is None:
            (self.stdout if fd == STDOUT else self.stderr).extend(data)
        if self.flooded is not None:
            self.event.set()


async def _watch(protocol: _Protocol, family: Family, job: Job) -> Cause:
    """Wait until the child ends or has to be stopped; return why."""
    end = time.monotonic() + job.deadline.total_seconds()
    period = job.limits.watch_period.total_seconds()
    look = time.monotonic() + period
    while not protocol.exited:
        now = time.monotonic()
        if protocol.flooded is not None:
            return protocol.flooded
        if now >= end:
            return Cause.DEADLINE
        if now >= look:
            used = time.thread_time()
            if len(family.members()) > job.limits.processes:
                return Cause.PROCESSES
            # Where /proc is long, looking takes a fifth of one processor at most.
            look = now + max(period, _LOOK_SHARE * (time.thread_time() - used))
        await protocol.wait(min(look, end) - now)
    return protocol.flooded or Cause.EXIT


async def _end(protocol: _Protocol, family: Family, job: Job, cause: Cause) -> None:
    """End everything that is left: politely at a deadline, at once otherwise."""
    if cause is Cause.DEADLINE:
        await _terminate(family, job)
    for _ in range(_KILL_ROUNDS):
        if not family.signal(signal.SIGKILL):
            break
        await asyncio.sleep(_KILL_PAUSE_SECONDS)
    # What somebody unkillable holds open is not waited for: run_child closes our end.
    for _ in range(int(_DRAIN_SECONDS / _KILL_PAUSE_SECONDS)):
        if protocol.exited and protocol.drained:
            break
        await protocol.wait(_KILL_PAUSE_SECONDS)
    protocol.over = True


async def _terminate(family: Family, job: Job) -> None:
    period = job.limits.watch_period
    family.signal(signal.SIGTERM)
    for _ in range(max(1, job.limits.kill_after // period)):
        if not family.members(thorough=True):
            return
        await asyncio.sleep(period.total_seconds())
