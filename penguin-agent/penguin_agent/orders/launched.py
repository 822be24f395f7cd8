"""Run a launched program to its end: pass on what it prints as it comes, and leave nothing of it.

Events come by asyncio's subprocess protocol, so that the pipes close even when somebody else still
holds their other end.
"""

from __future__ import annotations

import asyncio
import os
import signal
import time
from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from penguin_agent.child_events import STDERR, STDOUT, ChildEvents
from penguin_agent.collect.limits import SYSTEM_PATH
from penguin_agent.collect.process_group import Family
from penguin_agent.orders.launch import stop_unit, unit_words
from penguindome.errors import PenguinDomeError

if TYPE_CHECKING:
    from collections.abc import Callable

    from penguin_agent.orders.launch import Launch

    Sink = Callable[[str, bytes], bool]

_NAMES = {STDOUT: "stdout", STDERR: "stderr"}
_KILL_ROUNDS = 50
_KILL_PAUSE_SECONDS = 0.02
_DRAIN_SECONDS = 1.0
_LOOK_SECONDS = 0.5
_LOOK_SHARE = 10
_GRACE_SECONDS = 3.0
# What is thrown away is read slowly: about 10 MB a second.
_DISCARD_PAUSE_SECONDS = 0.02


@dataclass(frozen=True, slots=True)
class End:
    """How a program ended.

    Attributes:
        code: What wait(2) said, -N for signal N; None if it never began.
        timed_out: Whether it was ended for running too long.
        truncated: Whether not all of its output was kept.
        error: Why it did not begin.
    """

    code: int | None
    timed_out: bool = False
    truncated: bool = False
    error: str = ""


async def run_launched(launch: Launch, sink: Sink, *, systemd: bool) -> End:
    """Run a program to its end; cancelled, it ends the program before it returns.

    Args:
        launch: What to run.
        sink: Takes what is printed; False when not all of it could be kept.
        systemd: Whether PID 1 starts it.
    """
    try:
        transport, protocol = await _start(launch, sink, systemd=systemd)
    except OSError as error:
        return End(None, error=error.strerror or str(error))
    family = _Unit(launch, transport) if systemd else _Children(launch, transport)
    timed_out = False
    try:
        timed_out = not await _watch(protocol, family, launch.longest_seconds)
    finally:
        try:
            await family.end(gently=not protocol.exited)
            await _drain(protocol)
        finally:  # also when it is cancelled once more
            transport.close()
    return End(transport.get_returncode(), timed_out=timed_out, truncated=protocol.truncated)


async def end_marked(environment: dict[str, str]) -> int:
    """Kill all processes that carry these variables; returns how many there were."""
    lines = frozenset(f"{name}={value}".encode() for name, value in environment.items())
    family = Family(-1, lines)
    found = 0
    for _ in range(_KILL_ROUNDS):
        left = family.signal(signal.SIGKILL)
        found = max(found, left)
        if not left:
            break
        await asyncio.sleep(_KILL_PAUSE_SECONDS)
    return found


async def _start(
    launch: Launch, sink: Sink, *, systemd: bool
) -> tuple[asyncio.SubprocessTransport, _Protocol]:
    loop = asyncio.get_running_loop()
    if systemd:
        words = unit_words(launch)
        more: dict[str, Any] = {"env": {"PATH": SYSTEM_PATH, "LANG": "C.UTF-8"}, "cwd": "/"}
        standard_input = asyncio.subprocess.DEVNULL if launch.script is None else launch.script
    else:
        program = () if launch.script is None else (f"/proc/self/fd/{launch.script}",)
        words = (*program, *launch.argv)
        account = launch.account
        standard_input = asyncio.subprocess.DEVNULL
        more = {
            "env": dict(launch.environment),
            "cwd": account.folder,
            "pass_fds": () if launch.script is None else (launch.script,),
            "umask": 0o022,
        }
        if account.uid != os.geteuid():
            more |= {"user": account.uid, "group": account.gid, "extra_groups": account.groups}
    return await loop.subprocess_exec(
        lambda: _Protocol(sink), *words, stdin=standard_input, start_new_session=True, **more
    )


class _Children:
    """A program that is our child, and all that comes of it."""

    def __init__(self, launch: Launch, transport: asyncio.SubprocessTransport) -> None:
        names = ("PD_ORDER_ID", "PD_STATE_DIR")
        lines = (f"{name}={launch.environment[name]}".encode() for name in names)
        self._family = Family(transport.get_pid(), frozenset(lines))

    def look(self) -> None:
        """See who belongs to it now, so that they are known when their parents are gone."""
        self._family.members()

    async def end(self, *, gently: bool) -> None:
        """End all of it; at first with TERM, if `gently`."""
        if gently:
            self._family.signal(signal.SIGTERM)
            await self._wait(_GRACE_SECONDS)
        for _ in range(_KILL_ROUNDS):
            if not self._family.signal(signal.SIGKILL):
                break
            await asyncio.sleep(_KILL_PAUSE_SECONDS)

    async def _wait(self, seconds: float) -> None:
        end = time.monotonic() + seconds
        while self._family.members(thorough=True):
            if time.monotonic() >= end:
                return
            await asyncio.sleep(_KILL_PAUSE_SECONDS)


class _Unit:
    """A program in a unit of its own."""

    def __init__(self, launch: Launch, transport: asyncio.SubprocessTransport) -> None:
        self._unit = launch.unit
        self._transport = transport

    def look(self) -> None:
        """Do nothing: PID 1 knows who belongs to it."""

    async def end(self, *, gently: bool) -> None:
        """Stop the unit, if it has not ended: its main process's end was the unit's."""
        if gently:
            await stop_unit(self._unit)
            with suppress(ProcessLookupError):
                self._transport.terminate()


class _Protocol(ChildEvents):
    """Pass on what the program prints, and tell when something happened."""

    def __init__(self, sink: Sink) -> None:
        super().__init__()
        self.truncated = False
        self._sink = sink
        self._paused: set[int] = set()
        self._transport: Any = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = transport

    def pipe_data_received(self, fd: int, data: bytes) -> None:
        try:
            kept = self._sink(_NAMES[fd], data)
        except (PenguinDomeError, OSError):  # a full disk: the program goes on all the same
            kept = False
        if not kept:
            self.truncated = True
            self._slow_down(fd)

    def _slow_down(self, fd: int) -> None:
        pipe = self._transport.get_pipe_transport(fd)
        if pipe is not None and fd not in self._paused:
            self._paused.add(fd)
            pipe.pause_reading()
            loop = asyncio.get_running_loop()
            loop.call_later(_DISCARD_PAUSE_SECONDS, self._go_on, fd, pipe)

    def _go_on(self, fd: int, pipe: Any) -> None:
        self._paused.discard(fd)
        if not pipe.is_closing():
            pipe.resume_reading()


async def _watch(protocol: _Protocol, family: _Children | _Unit, longest_seconds: int) -> bool:
    """Wait until the program ends; False if its time is up before."""
    end = time.monotonic() + longest_seconds
    look = 0.0
    while not protocol.exited:
        now = time.monotonic()
        if now >= end:
            return False
        if now >= look:
            used = time.thread_time()
            family.look()
            # Where /proc is long, looking takes a tenth of one processor at most.
            look = now + max(_LOOK_SECONDS, _LOOK_SHARE * (time.thread_time() - used))
        await protocol.wait(max(min(look, end) - now, 0.01))
    return True


async def _drain(protocol: _Protocol) -> None:
    """Take what is still in the pipes; what somebody unkillable holds open is not waited for."""
    end = time.monotonic() + _DRAIN_SECONDS
    while not (protocol.exited and protocol.drained) and time.monotonic() < end:
        await protocol.wait(_KILL_PAUSE_SECONDS)
