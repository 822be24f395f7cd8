"""One program of a session behind its holder: its ends, its signals, its status."""

from __future__ import annotations

import asyncio
import contextlib
import fcntl
import os
import signal
import socket
import struct
import termios
from dataclasses import dataclass
from typing import TYPE_CHECKING

from penguin_agent.environment import package_folders, restart_command
from penguin_agent.orders.launched import end_marked
from penguin_agent.shell.holder import line_of, words_of
from penguin_agent.shell.processes import STEP_SECONDS, descendants, kill
from penguindome.errors import PreconditionFailed

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from pathlib import Path

HOLDER = "penguin_agent.shell.holder"
START_SECONDS = 10.0
# How often what is left is killed, for two seconds.
_KILL_ROUNDS = 100
_WINSIZE = struct.Struct("HHHH")
_CREDENTIALS = struct.Struct("3i")


@dataclass(frozen=True, slots=True)
class Wanted:
    """What is to run.

    Attributes:
        user: The account.
        argv: The program; empty for the account's login shell.
        environment: Further variables, all that there is but for the account's own.
        size: Columns and rows of its terminal; None for none.
        launch: Turns the words that start the holder into those that start it outside of the
            agent's own limits.
    """

    user: str
    argv: Sequence[str]
    environment: Mapping[str, str]
    size: tuple[int, int] | None
    launch: Callable[[Sequence[str]], Sequence[str]] = tuple


class Program:
    """A running program; nothing of it is left once `status` has returned.

    Attributes:
        outputs: Non-blocking descriptors to read, by `stdout` and `stderr`; a terminal has the
            former only.
        input: A non-blocking descriptor to write, -1 when it is closed.
    """

    def __init__(
        self,
        wanted: Wanted,
        process: asyncio.subprocess.Process,
        channel: tuple[asyncio.StreamReader, asyncio.StreamWriter],
        outputs: dict[str, int],
        keyboard: int,
    ) -> None:
        self._wanted = wanted
        self.outputs = outputs
        self.input = keyboard
        self._process = process
        self._reader, self._writer = channel
        self._terminal = keyboard in outputs.values()
        peer: socket.socket = channel[1].get_extra_info("socket")
        said = peer.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, _CREDENTIALS.size)
        self._holder = int(_CREDENTIALS.unpack(said)[0])

    @classmethod
    async def start(cls, wanted: Wanted, folder: Path) -> Program:
        """Start a program's holder; `folder` is private and short, for its socket.

        Raises:
            PreconditionFailed: It cannot be started.
        """
        path = folder / "holder"
        path.unlink(missing_ok=True)
        with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM | socket.SOCK_CLOEXEC) as listening:
            listening.bind(str(path))
            listening.listen(1)
            listening.setblocking(False)
            theirs, outputs, keyboard = _ends(wanted.size)
            holder = restart_command((str(path),), package_folders(), HOLDER, bare=True)
            words = wanted.launch(holder)
            try:
                process = await asyncio.create_subprocess_exec(
                    *words,
                    stdin=theirs[0],
                    stdout=theirs[1],
                    stderr=theirs[2],
                    start_new_session=True,
                    cwd="/",
                    env={"PATH": "/usr/sbin:/usr/bin:/sbin:/bin", "LC_ALL": "C.UTF-8"},
                )
                accepted = await _accepted(listening, process)
                channel = await asyncio.open_unix_connection(sock=accepted)
            except (OSError, PreconditionFailed):
                _close(*outputs.values(), keyboard)
                raise
            finally:
                _close(*theirs)
                path.unlink(missing_ok=True)
        return cls(wanted, process, channel, outputs, keyboard)

    def begin(self) -> None:
        """Have the holder start the program."""
        wanted = self._wanted
        ends = "pipes" if wanted.size is None else "terminal"
        variables = [f"{name}={value}" for name, value in wanted.environment.items()]
        self._say("begin", wanted.user, ends, str(len(wanted.argv)), *wanted.argv, *variables)

    async def status(self) -> int:
        """Wait for the end of the program and of all that it started; return its exit status.

        Raises:
            PreconditionFailed: The holder was killed; what of the session can be found is ended.
        """
        status = None
        # A word to a holder that has just ended breaks the channel, perhaps before its last line is
        # read; its own exit status is the same.
        with contextlib.suppress(ConnectionError):
            while line := await self._reader.readline():
                status = int(words_of(line)[-1])
        code = await self._process.wait()
        if status is not None or code >= 0:
            return int(code if status is None else status)
        # Nobody is the parent of it all any more.
        await end_marked({"PD_ORDER_ID": self._wanted.environment["PD_ORDER_ID"]})
        reason = "the process that held the session was killed on the device"
        raise PreconditionFailed(reason, code="holder-killed")

    def signal(self, name: str) -> None:
        """Send a signal (`INT`, `TERM`, …) to what is in the foreground."""
        self._say("signal", name)

    def end(self) -> None:
        """Have everything ended; `status` tells when that is done."""
        # What runs as root may have stopped its holder.
        kill(self._holder, signal.SIGCONT)
        self._say("end")

    async def end_for_certain(self, status: asyncio.Future[int]) -> None:
        """Kill everything, for a holder that something keeps from doing it, until it has a status.

        What is made while others are killed comes to the holder, which alone knows when nothing is
        left: it goes on as soon as nobody stops it any more.
        """
        for _ in range(_KILL_ROUNDS):
            for pid in descendants(self._holder):
                kill(pid, signal.SIGKILL)
            kill(self._holder, signal.SIGCONT)
            await asyncio.wait((status,), timeout=STEP_SECONDS)
            if status.done():
                return
        for pid in (*descendants(self._holder), self._holder):
            kill(pid, signal.SIGKILL)

    def resize(self, columns: int, rows: int) -> None:
        """Set the terminal's size; the kernel tells the foreground."""
        if self._terminal and self.input >= 0:
            packed = _WINSIZE.pack(rows, columns, 0, 0)
            with contextlib.suppress(OSError):
                fcntl.ioctl(self.input, termios.TIOCSWINSZ, packed)

    def end_input(self) -> None:
        """Close a program's standard input; on a terminal, type end-of-file."""
        if self._terminal:
            with contextlib.suppress(OSError):
                os.write(self.input, b"\x04")
        elif self.input >= 0:
            _close(self.input)
            self.input = -1

    def close(self) -> None:
        """Close all of our ends; whatever still runs is ended by its holder."""
        self._writer.close()
        _close(*{*self.outputs.values(), self.input} - {-1})
        self.outputs, self.input = {}, -1

    def _say(self, *words: str) -> None:
        if not self._writer.is_closing():
            self._writer.write(line_of(*words))


def _ends(size: tuple[int, int] | None) -> tuple[list[int], dict[str, int], int]:
    """Return the program's three ends, ours to read by name, and ours to write."""
    if size is None:
        pairs = [os.pipe2(os.O_CLOEXEC) for _ in range(3)]
        (their_input, keyboard), (out, their_out), (errors, their_errors) = pairs
        for descriptor in (keyboard, out, errors):
            os.set_blocking(descriptor, False)
        theirs = [their_input, their_out, their_errors]
        return theirs, {"stdout": out, "stderr": errors}, keyboard
    master, slave = os.openpty()
    os.set_inheritable(master, False)
    os.set_blocking(master, False)
    fcntl.ioctl(slave, termios.TIOCSWINSZ, _WINSIZE.pack(size[1], size[0], 0, 0))
    return [slave, os.dup(slave), os.dup(slave)], {"stdout": master}, master


async def _accepted(listening: socket.socket, process: asyncio.subprocess.Process) -> socket.socket:
    """Wait for the holder; give up when it ends before it came."""
    async with asyncio.TaskGroup() as group:
        coming = group.create_task(asyncio.get_running_loop().sock_accept(listening))
        ending = group.create_task(process.wait())
        await asyncio.wait(
            (coming, ending), timeout=START_SECONDS, return_when=asyncio.FIRST_COMPLETED
        )
        ending.cancel()
        if coming.done():
            return coming.result()[0]
        coming.cancel()
    if process.returncode is None:
        process.kill()
    raise PreconditionFailed("the program's holder does not start", code="not-started")


def _close(*descriptors: int) -> None:
    for descriptor in set(descriptors):
        with contextlib.suppress(OSError):
            os.close(descriptor)
