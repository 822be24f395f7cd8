"""Find and end all the processes that one plugin started, also those that left its group.

A plugin runs in its own session. A process belongs to it when it is in that session or group, when
its parent does, or when it carries the plugin's name and folder in the environment it was started
with (a daemon that forked twice and called setsid). Identity is pid and start time together, so
that a pid which was given to somebody else meanwhile is never signalled.
Source: proc(5), /proc/pid/stat and /proc/pid/environ.
"""

from __future__ import annotations

import os
import signal
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path


@dataclass(frozen=True, slots=True)
class Process:
    """One line of the process table; `started` is in clock ticks since boot."""

    pid: int
    state: str
    parent: int
    group: int
    session: int
    started: int


def parse_stat(text: str) -> Process | None:
    """Return the process that a /proc/pid/stat line describes, None when it cannot be read.

    The name in parentheses is the process's own choice: only what follows the last `)` counts.
    """
    head, found, tail = text.rpartition(")")
    words = tail.split()
    if not found or len(words) < 20:
        return None
    try:
        return Process(
            pid=int(head.split(" ", 1)[0]),
            state=words[0],
            parent=int(words[1]),
            group=int(words[2]),
            session=int(words[3]),
            started=int(words[19]),
        )
    except ValueError:
        return None


def process_table(proc: Path = Path("/proc")) -> list[Process]:
    """Return every process that is not a zombie."""
    table = []
    for name in os.listdir(proc):  # noqa: PTH208 -- ten times a second: names are enough
        if not name.isdecimal():
            continue
        with suppress(OSError):
            process = parse_stat((proc / name / "stat").read_text(errors="replace"))
            if process is not None and process.state not in "ZX":
                table.append(process)
    return table


@dataclass(slots=True)
class Family:
    """The processes of one run of one plugin; made as soon as its leader was started."""

    leader: int
    markers: frozenset[bytes]
    proc: Path = Path("/proc")
    _known: dict[int, int] = field(default_factory=dict)
    _started: int = 0

    def __post_init__(self) -> None:
        """Note when the leader started, to tell it from a later process with its pid."""
        now = _look_up(self.leader, self.proc)
        self._started = now.started if now is not None else 0

    def members(self, *, thorough: bool = False) -> list[Process]:
        """Return the living members; `thorough` also asks strangers for the plugin's markers."""
        table = process_table(self.proc)
        taken = any(self._is_successor(process) for process in table)
        found = {p.pid: p for p in table if self._is_known(p) or (not taken and self._is_led(p))}
        if thorough:
            found |= {p.pid: p for p in table if p.pid not in found and self._is_marked(p)}
        grown = True
        while grown:
            children = [p for p in table if p.parent in found and p.pid not in found]
            found |= {process.pid: process for process in children}
            grown = bool(children)
        self._known |= {process.pid: process.started for process in found.values()}
        return list(found.values())

    def signal(self, number: signal.Signals) -> int:
        """Send every member a signal; return how many there were."""
        members = self.members(thorough=True)
        if any(self._is_led(process) and process.group == self.leader for process in members):
            # One call for the whole group: a fork bomb cannot outrun it.
            with suppress(ProcessLookupError, PermissionError):
                os.killpg(self.leader, number)
        for process in members:
            _signal_one(process, number, self.proc)
        return len(members)

    def _is_led(self, process: Process) -> bool:
        return self.leader in (process.pid, process.group, process.session)

    def _is_known(self, process: Process) -> bool:
        return self._known.get(process.pid) == process.started

    def _is_successor(self, process: Process) -> bool:
        """Return whether a stranger got the leader's pid: then the session is the stranger's."""
        return process.pid == self.leader and self._started not in (0, process.started)

    def _is_marked(self, process: Process) -> bool:
        if not self.markers or process.started < self._started or process.pid == os.getpid():
            return False
        return self.markers <= _environ(process.pid, self.proc)


def end_strays(var_dir: Path, proc: Path = Path("/proc")) -> int:
    """Kill what plugins of an earlier, killed agent left behind; return how many there were.

    Only while no plugin of the same `var_dir` runs. systemd does this by itself for its services.
    """
    strays = [
        p for p in process_table(proc) if p.pid != os.getpid() and _is_stray(p, var_dir, proc)
    ]
    for process in strays:
        _signal_one(process, signal.SIGKILL, proc)
    return len(strays)


def _is_stray(process: Process, var_dir: Path, proc: Path) -> bool:
    environ = _environ(process.pid, proc)
    marked = any(line.startswith(b"PD_PLUGIN_NAME=") for line in environ)
    return marked and f"PD_VAR_DIR={var_dir}".encode() in environ


def _environ(pid: int, proc: Path) -> frozenset[bytes]:
    try:
        return frozenset((proc / str(pid) / "environ").read_bytes().split(b"\0"))
    except OSError:
        return frozenset()


def _look_up(pid: int, proc: Path) -> Process | None:
    try:
        return parse_stat((proc / str(pid) / "stat").read_text(errors="replace"))
    except OSError:
        return None


def _signal_one(process: Process, number: signal.Signals, proc: Path) -> None:
    """Signal exactly that process: the handle is taken first, then its start time compared."""
    try:
        handle = os.pidfd_open(process.pid)
    except OSError:
        return
    try:
        now = _look_up(process.pid, proc)
        if now is not None and now.started == process.started:
            signal.pidfd_send_signal(handle, number)
    except OSError:
        return
    finally:
        os.close(handle)
