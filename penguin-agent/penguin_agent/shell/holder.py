"""Start one program of a session, and leave no process of it behind: a small process of its own.

It runs by itself (python -I -S holder.py SOCKET), so that it starts quickly and imports nothing of
ours. Everything that the program starts stays below it: orphans come to it (PR_SET_CHILD_SUBREAPER)
instead of to init. When the program ends, when it is told to, or when the agent is gone and the
socket with it, it ends all of them. The program's parent is a process in between, so that whoever
kills their parent ends the session, and keeps nothing. Standard input, output and error are the
session's; the socket carries one JSON object a line each way. Source: prctl(2), setsid(2), proc(5).
"""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import pwd
import select
import signal
import socket
import sys
import termios
import time

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

PR_SET_CHILD_SUBREAPER = 36
POLITE_SECONDS = 1.0
STEP_SECONDS = 0.02
KILL_ROUNDS = 400
LINE_LIMIT = 1024 * 1024
NOT_STARTED = 127


def main() -> int:
    """Hold one program until nothing of it is left."""
    channel = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM | socket.SOCK_CLOEXEC)
    channel.connect(sys.argv[1])
    _become_subreaper()
    for number in (signal.SIGHUP, signal.SIGINT, signal.SIGQUIT, signal.SIGTSTP, signal.SIGTTOU):
        signal.signal(number, signal.SIG_IGN)
    wakes, wake = os.pipe2(os.O_CLOEXEC | os.O_NONBLOCK)
    signal.signal(signal.SIGCHLD, lambda *_: None)
    signal.set_wakeup_fd(wake)
    lines = Lines(channel)
    wanted = lines.first()
    if "user" not in wanted:
        # Whoever wanted it wants it no more.
        return NOT_STARTED
    parent, child = _start(wanted)
    # The program alone has the session's ends, so that whoever reads them sees it end.
    _let_go()
    try:
        status = _hold(lines, wakes, parent, child)
    finally:
        end_all()
    _say(channel, {"status": status})
    return status


class Lines:
    """What the agent says, line by line; `over` when it is gone."""

    def __init__(self, channel: socket.socket) -> None:
        """Take the connected socket."""
        self.channel = channel
        self.over = False
        self._buffer = b""

    def first(self) -> dict[str, Any]:
        """Wait for the first line."""
        while b"\n" not in self._buffer and not self.over:
            self._read()
        return next(iter(self.complete()), {})

    def take(self) -> list[dict[str, Any]]:
        """Read what is there; return complete lines."""
        self._read()
        return self.complete()

    def complete(self) -> list[dict[str, Any]]:
        """Return complete lines, and forget them."""
        *lines, self._buffer = self._buffer.split(b"\n")
        return [json.loads(line) for line in lines]

    def _read(self) -> None:
        try:
            data = self.channel.recv(65536)
        except OSError:
            data = b""
        self._buffer += data
        self.over = not data or len(self._buffer) > LINE_LIMIT


def _hold(lines: Lines, wakes: int, parent: int, child: int) -> int:
    """Wait for the program's end, or for the word to end it; return its status."""
    status = None
    while status is None:
        ready = select.select([lines.channel.fileno(), wakes], [], [])[0]
        if wakes in ready:
            with contextlib.suppress(BlockingIOError):
                os.read(wakes, 512)
        _kill(parent, signal.SIGCONT)
        ended = reap()
        status = ended.get(child)
        if parent in ended and status is None:
            return _ended(child)
        for word in lines.take() if lines.channel.fileno() in ready else []:
            if word.get("end"):
                return _ended(child)
            _signal(child, word.get("signal", ""))
        if lines.over:
            return _ended(child)
    return status


def _ended(child: int) -> int:
    return end_all().get(child, 128 + signal.SIGKILL)


def _signal(child: int, name: str) -> None:
    """Send a signal to the program in the foreground, as a terminal would."""
    number = getattr(signal, f"SIG{name}", None)
    if number is None:
        return
    group = child
    with contextlib.suppress(OSError):
        # The terminal is known by the program's own standard input.
        descriptor = os.open(f"/proc/{child}/fd/0", os.O_RDWR | os.O_NOCTTY)
        try:
            group = os.tcgetpgrp(descriptor)
        finally:
            os.close(descriptor)
    with contextlib.suppress(OSError):
        os.killpg(group, number)


def reap() -> dict[int, int]:
    """Collect everybody who ended; return statuses by pid, as shells show them."""
    ended: dict[int, int] = {}
    while not is_alone():
        pid, status = os.waitpid(-1, os.WNOHANG)
        if pid == 0:
            break
        code = os.waitstatus_to_exitcode(status)
        ended[pid] = code if code >= 0 else 128 - code
    return ended


def end_all() -> dict[int, int]:
    """End everything below this process: politely, then for certain; return statuses."""
    ended = reap()
    limit = time.monotonic() + POLITE_SECONDS
    for number in (signal.SIGHUP, signal.SIGCONT, signal.SIGTERM):
        for pid in descendants(os.getpid()):
            _kill(pid, number)
    while not is_alone() and time.monotonic() < limit:
        time.sleep(STEP_SECONDS)
        ended.update(reap())
    for _ in range(KILL_ROUNDS):
        if is_alone():
            break
        for pid in descendants(os.getpid()):
            _kill(pid, signal.SIGKILL)
        time.sleep(STEP_SECONDS)
        ended.update(reap())
    return ended


def is_alone() -> bool:
    """Tell whether nobody is below this process: the kernel knows, while /proc is read in steps."""
    try:
        os.waitid(os.P_ALL, 0, os.WEXITED | os.WNOHANG | os.WNOWAIT)
    except ChildProcessError:
        return True
    return False


def _kill(pid: int, number: int) -> None:
    with contextlib.suppress(OSError):
        os.kill(pid, number)


def descendants(top: int) -> list[int]:
    """Return the pids below a process, but for zombies."""
    children: dict[int, list[int]] = {}
    states: dict[int, bytes] = {}
    for name in os.listdir("/proc"):  # noqa: PTH208 -- pathlib takes 10 ms to import
        if not name.isdecimal():
            continue
        try:
            with open(f"/proc/{name}/stat", "rb") as file:  # noqa: PTH123 -- as above
                words = file.read().rpartition(b")")[2].split()
        except OSError:
            continue
        children.setdefault(int(words[1]), []).append(int(name))
        states[int(name)] = words[0]
    found = list(children.get(top, []))
    for pid in found:
        found += children.get(pid, [])
    return [pid for pid in found if states[pid] not in (b"Z", b"X")]


def _start(wanted: dict[str, Any]) -> tuple[int, int]:
    """Fork the program's parent, and by it the program; returns their pids."""
    told, tell = os.pipe2(os.O_CLOEXEC)
    parent = os.fork()
    if not parent:
        try:
            _stand_between(wanted, tell)
        except BaseException as error:  # noqa: BLE001 -- this process must never go on
            text = f"penguin-agent: {getattr(error, 'strerror', None) or error}\r\n"
            with contextlib.suppress(OSError):
                os.write(2, text.encode())
        os._exit(NOT_STARTED)
    os.close(tell)
    child = int.from_bytes(os.read(told, 8), "little")
    os.close(told)
    return parent, child


def _stand_between(wanted: dict[str, Any], tell: int) -> None:
    """Be the program's parent, and nothing else, until it ends; the holder collects it then."""
    signal.set_wakeup_fd(-1)
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    child = os.fork()
    if not child:
        _become(wanted)
    os.write(tell, child.to_bytes(8, "little"))
    _let_go()
    os.closerange(3, tell + 1)
    os.waitid(os.P_PID, child, os.WEXITED | os.WNOWAIT)


def _become(wanted: dict[str, Any]) -> None:
    """Turn into the program: in a session of its own, on its terminal, as its user."""
    for number in signal.valid_signals():
        with contextlib.suppress(OSError, ValueError):
            signal.signal(number, signal.SIG_DFL)
    signal.pthread_sigmask(signal.SIG_SETMASK, ())
    os.setsid()
    if wanted.get("terminal"):
        fcntl.ioctl(0, termios.TIOCSCTTY, 0)
    try:
        user = pwd.getpwnam(wanted["user"])
    except KeyError:
        raise OSError(0, f"there is no account {wanted['user']}") from None
    if os.geteuid() != user.pw_uid:
        os.initgroups(user.pw_name, user.pw_gid)
        os.setresgid(user.pw_gid, user.pw_gid, user.pw_gid)
        os.setresuid(user.pw_uid, user.pw_uid, user.pw_uid)
    try:
        os.chdir(user.pw_dir)
    except OSError:
        os.chdir("/")
    os.umask(0o022)
    shell = user.pw_shell or "/bin/sh"
    environment = {
        "HOME": user.pw_dir,
        "USER": user.pw_name,
        "LOGNAME": user.pw_name,
        "SHELL": shell,
        **wanted["environment"],
    }
    words = wanted["argv"]
    if not words:
        os.execve(shell, [f"-{os.path.basename(shell)}"], environment)  # noqa: PTH119, S606 -- its job
    if len(words) == 1:
        words = [shell, "-c", words[0]]
    os.environ.clear()
    os.environ.update(environment)
    os.execvpe(words[0], words, environment)  # noqa: S606 -- its job


def _become_subreaper() -> None:
    import ctypes  # noqa: PLC0415 -- nothing else needs it

    if ctypes.CDLL(None, use_errno=True).prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0) != 0:
        raise OSError(ctypes.get_errno(), "the kernel does not hand orphans over")


def _let_go() -> None:
    """Close the session's ends here."""
    nothing = os.open("/dev/null", os.O_RDWR)
    for number in (0, 1, 2):
        os.dup2(nothing, number)
    os.close(nothing)


def _say(channel: socket.socket, word: dict[str, Any]) -> None:
    with contextlib.suppress(OSError):
        channel.sendall(json.dumps(word).encode() + b"\n")


if __name__ == "__main__":
    sys.exit(main())
