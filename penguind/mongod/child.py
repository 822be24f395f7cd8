"""Keep a real mongod as a child: private socket, no orphan, restarted when it ends.

The death signal of setpriv(1) is tied to the thread that started the child (prctl(2),
PR_SET_PDEATHSIG): start and run belong to an event loop in the main thread.
"""

from __future__ import annotations

import asyncio
import json
import os
import shutil
import signal
import subprocess
from collections import deque
from contextlib import suppress
from typing import TYPE_CHECKING

from penguind.mongod.paths import (
    REPLICA_SET,
    MongodPaths,
    find_mongod,
    open_log,
    prepare_paths,
    require_mongod,
    socket_uri,
    take_lock,
)
from penguind.mongod.ready import wait_ready
from penguindome.display import printable
from penguindome.errors import PreconditionFailed, Unavailable
from penguindome.logs import logger

if TYPE_CHECKING:
    from pathlib import Path
    from typing import IO

__all__ = ["Mongod", "find_mongod", "socket_uri"]

log = logger("penguind.mongod")

# A journal replay after a crash may take its time; a process that ends is noticed at once.
_READY_SECONDS = 120
_STOP_SECONDS = 15
_BACK_OFF_SECONDS = (0.1, 0.3, 1.0, 2.0)
_CRASH_LOOP_PERIOD_SECONDS = 60.0
# A parent that dies before the death signal is set would leave an orphan: look who the parent is
# afterwards. $PPID is taken when the shell starts, which is after setpriv.
_UNLESS_ORPHANED = '[ "$PPID" = "$1" ] || exit 1; shift; exec "$@"'
_TAIL_BYTES = 32 << 10
_TAIL_LINES = 4
_TAIL_CHARACTERS = 1500


class Mongod:
    """A supervised child mongod, a replica set of one on a Unix socket only.

    Args:
        state_dir: penguind's state folder; the database lives below it.
        executable: the mongod to run; None finds one.
    """

    def __init__(self, state_dir: Path, *, executable: Path | None = None) -> None:
        self._state_dir = state_dir
        self._executable = executable
        self._process: asyncio.subprocess.Process | None = None
        self._lock: IO[bytes] | None = None
        self._paths: MongodPaths | None = None
        self._exits: deque[float] = deque(maxlen=len(_BACK_OFF_SECONDS) + 1)
        self._stopping = asyncio.Event()

    @property
    def pid(self) -> int:
        """Return the child's process id, 0 if there is none."""
        return self._process.pid if self._process is not None else 0

    async def start(self) -> str:
        """Start the child, wait until it takes writes, and return its URI.

        Raises:
            PreconditionFailed: no mongod, or another penguind uses the data.
            Unavailable: it ends again and again; its last words are in the reason.
        """
        self._executable = self._executable or require_mongod()
        self._paths = prepare_paths(self._state_dir)
        self._lock = take_lock(self._paths)
        try:
            await self._bring_up()
        except BaseException:
            await self.stop()
            raise
        return self._paths.uri

    async def run(self) -> None:
        """Restart the child whenever it ends, until `stop`; belongs in the program's task group.

        Raises:
            Unavailable: it ends again and again; its last words are in the reason.
        """
        while not self._stopping.is_set():
            process = self._process
            if process is None:
                return
            code = await process.wait()
            if self._stopping.is_set():
                return
            log.warning("The database ended with status {}: starting it again", code)
            await self._note_exit()
            await self._bring_up()

    async def stop(self) -> None:
        """End the child in good order and give the data back."""
        self._stopping.set()
        if self._process is not None:
            await _end(self._process)
            self._process = None
        if self._lock is not None:
            self._lock.close()
            self._lock = None

    async def _bring_up(self) -> None:
        """Start until it is ready, with growing pauses between attempts."""
        while not self._stopping.is_set():
            process = await self._spawn()
            if await self._ready(process):
                return
            await self._note_exit()

    async def _ready(self, process: asyncio.subprocess.Process) -> bool:
        paths = self._known_paths()
        try:
            async with asyncio.timeout(_READY_SECONDS):
                return await wait_ready(paths.socket, alive=lambda: process.returncode is None)
        except TimeoutError:
            await _end(process)
            return False

    async def _note_exit(self) -> None:
        """Count an exit and pause; too many in short time are the end.

        Raises:
            Unavailable: the exits are a crash loop.
        """
        now = asyncio.get_running_loop().time()
        if self._exits and now - self._exits[-1] > _CRASH_LOOP_PERIOD_SECONDS:
            self._exits.clear()
        self._exits.append(now)
        if len(self._exits) == self._exits.maxlen:
            path = self._known_paths().log
            raise Unavailable(
                f"the database ends again and again; it last said: {log_tail(path)}",
                subject="mongod",
                remedy=f"see {path}; is the disk full, or are the files another version's?",
            )
        with suppress(TimeoutError):
            await asyncio.wait_for(self._stopping.wait(), _BACK_OFF_SECONDS[len(self._exits) - 1])

    async def _spawn(self) -> asyncio.subprocess.Process:
        paths = self._known_paths()
        setpriv = shutil.which("setpriv")
        if setpriv is None:
            raise PreconditionFailed("setpriv is missing", remedy="install util-linux")
        # A socket that a killed mongod left would make the readiness test connect to nothing.
        paths.socket.unlink(missing_ok=True)
        # The child must not get our variables: settings of the allocator or secrets of a unit.
        kept = ("PATH", "LD_LIBRARY_PATH", "TZ")
        environment = {name: os.environ[name] for name in kept if name in os.environ}
        with open_log(paths) as sink:
            self._process = await asyncio.create_subprocess_exec(
                *(setpriv, "--pdeathsig", "KILL", "--"),
                *("/bin/sh", "-c", _UNLESS_ORPHANED, "sh", str(os.getpid())),
                *_command(str(self._executable), paths),
                stdin=subprocess.DEVNULL,
                stdout=sink,
                stderr=subprocess.STDOUT,
                env=environment,
                cwd=paths.home,
                # A Ctrl-C at the terminal is ours to handle: the database goes last.
                start_new_session=True,
            )
        return self._process

    def _known_paths(self) -> MongodPaths:
        if self._paths is None:
            raise RuntimeError("start was not called")
        return self._paths


def log_tail(path: Path) -> str:
    """Return the last words of a mongod log in one line: errors if there are any.

    Args:
        path: JSON lines as of MongoDB 4.4, or plain text of the loader.
    """
    try:
        lines = path.read_bytes()[-_TAIL_BYTES:].decode("utf-8", "replace").splitlines()
    except OSError:
        return "nothing"
    words = [(severe, text) for severe, text in map(_log_words, lines) if text]
    wanted = [text for severe, text in words if severe] or [text for _, text in words]
    return printable(" / ".join(wanted[-_TAIL_LINES:])[-_TAIL_CHARACTERS:]) or "nothing"


def _log_words(line: str) -> tuple[bool, str]:
    """Return whether a log line is an error, and what it says."""
    try:
        record = json.loads(line)
    except ValueError:
        return True, line.strip()
    if not isinstance(record, dict):
        return True, line.strip()
    attributes = json.dumps(record.get("attr", {}))[:400]
    return record.get("s") in ("E", "F"), f"{record.get('msg', '')} {attributes}"


async def _end(process: asyncio.subprocess.Process) -> None:
    if process.returncode is not None:
        return
    with suppress(ProcessLookupError):
        process.send_signal(signal.SIGTERM)
    try:
        async with asyncio.timeout(_STOP_SECONDS):
            await process.wait()
    except TimeoutError:
        log.warning("The database did not stop in {} s: killing it", _STOP_SECONDS)
        with suppress(ProcessLookupError):
            process.kill()
        await process.wait()


def _command(executable: str, paths: MongodPaths) -> list[str]:
    """Return mongod's arguments: no TCP listener, small journal files, a small cache."""
    return [
        executable,
        *("--dbpath", str(paths.data)),
        *("--bind_ip", str(paths.socket)),
        # Only part of socket names; nothing listens on it.
        *("--port", "28071"),
        "--nounixsocket",
        *("--filePermissions", "0600"),
        *("--replSet", REPLICA_SET),
        *("--oplogSize", "64"),
        *("--wiredTigerCacheSizeGB", "0.25"),
        *("--wiredTigerEngineConfigString", "log=(file_max=8MB,prealloc=false)"),
        *("--slowms", "2000"),
        # No query of ours is a script, and its engine cannot live where memory is never executable.
        "--noscripting",
        "--quiet",
        *("--setParameter", "diagnosticDataCollectionEnabled=false"),
        # Nobody else is in the set: waiting for a successor only delays a restart.
        *("--setParameter", "shutdownTimeoutMillisForSignaledShutdown=100"),
    ]
