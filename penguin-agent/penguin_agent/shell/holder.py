"""Start one program of a session, and leave no process of it behind: a small process of its own.

An operator waits for its start: it imports next to nothing, and `signal` and `socket` without their
enumerations. Everything that the program starts stays below it: orphans come to it
(PR_SET_CHILD_SUBREAPER) instead of to init. When the program ends, when it is told to, or when the
agent is gone and the socket with it, it ends all of them. The program's parent is a process in
between, so that whoever kills their parent ends the session, and keeps nothing. Standard input,
output and error are the session's; the socket carries lines of words each way.
Source: prctl(2), setsid(2), proc(5).
"""

from __future__ import annotations

import _signal as signal  # type: ignore[import-not-found] # what is beneath `signal`
import _socket as socket  # what is beneath `socket`
import fcntl
import os
import pwd
import select
import termios

from penguin_agent.shell.processes import end_all, kill, reap, suppressed

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence

PR_SET_CHILD_SUBREAPER = 36
LINE_LIMIT = 1024 * 1024
NOT_STARTED = 127
# What is no UTF-8 in a word comes out as it was.
_ERRORS = "surrogateescape"


def main(arguments: Sequence[str]) -> int:
    """Hold one program until nothing of it is left."""
    channel = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM | socket.SOCK_CLOEXEC)
    channel.connect(arguments[0])
    _become_subreaper()
    for number in (signal.SIGHUP, signal.SIGINT, signal.SIGQUIT, signal.SIGTSTP, signal.SIGTTOU):
        signal.signal(number, signal.SIG_IGN)
    wakes, wake = os.pipe2(os.O_CLOEXEC | os.O_NONBLOCK)
    signal.signal(signal.SIGCHLD, lambda *_: None)
    signal.set_wakeup_fd(wake)
    lines = Lines(channel)
    word, *wanted = lines.first() or ["end"]
    if word != "begin":
        # Whoever wanted it wants it no more.
        return NOT_STARTED
    parent, child = _start(wanted)
    # The program alone has the session's ends, so that whoever reads them sees it end.
    _let_go()
    try:
        status = _hold(lines, wakes, parent, child)
    finally:
        end_all()
    with suppressed(OSError):
        channel.sendall(line_of("status", str(status)))
    return status


def line_of(*words: str) -> bytes:
    """Return a line of words, of which each may hold anything."""
    return b" ".join(one.encode("utf-8", _ERRORS).hex().encode() for one in words) + b"\n"


def words_of(line: bytes) -> list[str]:
    """Return the words of a line."""
    return [bytes.fromhex(one).decode("utf-8", _ERRORS) for one in line.decode().split(" ")]


class Lines:
    """What the agent says, line by line; `over` when it is gone."""

    def __init__(self, channel: socket.socket) -> None:
        """Take the connected socket."""
        self.channel = channel
        self.over = False
        self._buffer = b""

    def first(self) -> list[str]:
        """Wait for the first line; return its words."""
        while b"\n" not in self._buffer and not self.over:
            self._read()
        return next(iter(self.complete()), [])

    def take(self) -> list[list[str]]:
        """Read what is there; return the words of complete lines."""
        self._read()
        return self.complete()

    def complete(self) -> list[list[str]]:
        """Return the words of complete lines, and forget them."""
        *lines, self._buffer = self._buffer.split(b"\n")
        return [words_of(line) for line in lines]

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
            with suppressed(BlockingIOError):
                os.read(wakes, 512)
        kill(parent, signal.SIGCONT)
        ended = reap()
        status = ended.get(child)
        if parent in ended and status is None:
            return _ended(child)
        for words in lines.take() if lines.channel.fileno() in ready else []:
            if words[0] == "end":
                return _ended(child)
            _signal(child, words[-1])
        if lines.over:
            return _ended(child)
    return status


def _ended(child: int) -> int:
    return end_all().get(child, int(128 + signal.SIGKILL))


def _signal(child: int, name: str) -> None:
    """Send a signal to the program in the foreground, as a terminal would."""
    number = getattr(signal, f"SIG{name}", None)
    if number is None:
        return
    group = child
    with suppressed(OSError):
        # The terminal is known by the program's own standard input.
        descriptor = os.open(f"/proc/{child}/fd/0", os.O_RDWR | os.O_NOCTTY)
        try:
            group = os.tcgetpgrp(descriptor)
        finally:
            os.close(descriptor)
    with suppressed(OSError):
        os.killpg(group, number)


def _start(wanted: list[str]) -> tuple[int, int]:
    """Fork the program's parent, and by it the program; returns their pids."""
    told, tell = os.pipe2(os.O_CLOEXEC)
    parent = os.fork()
    if not parent:
        try:
            _stand_between(wanted, tell)
        except BaseException as error:  # noqa: BLE001 -- this process must never go on
            text = f"penguin-agent: {getattr(error, 'strerror', None) or error}\r\n"
            with suppressed(OSError):
                os.write(2, text.encode())
        os._exit(NOT_STARTED)
    os.close(tell)
    child = int.from_bytes(os.read(told, 8), "little")
    os.close(told)
    return parent, child


def _stand_between(wanted: list[str], tell: int) -> None:
    """Be the program's parent, and nothing else, until it ends; the holder collects it then."""
    signal.set_wakeup_fd(-1)
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    child = os.fork()
    if not child:
        _become(*wanted)
    os.write(tell, child.to_bytes(8, "little"))
    _let_go()
    os.closerange(3, tell + 1)
    os.waitid(os.P_PID, child, os.WEXITED | os.WNOWAIT)


def _become(account: str, ends: str, count: str, *rest: str) -> None:
    """Turn into the program: in a session of its own, on its terminal, as its user.

    Args:
        account: Its user.
        ends: "terminal", or what is none.
        count: How many words it has.
        rest: The words, and then the variables that it gets, NAME=VALUE.
    """
    for number in signal.valid_signals():
        with suppressed(OSError, ValueError):
            signal.signal(number, signal.SIG_DFL)
    signal.pthread_sigmask(signal.SIG_SETMASK, ())
    os.setsid()
    if ends == "terminal":
        fcntl.ioctl(0, termios.TIOCSCTTY, 0)
    try:
        user = pwd.getpwnam(account)
    except KeyError:
        raise OSError(0, f"there is no account {account}") from None
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
        **dict(one.split("=", 1) for one in rest[int(count) :]),
    }
    words = rest[: int(count)]
    if not words:
        os.execve(shell, [f"-{os.path.basename(shell)}"], environment)  # noqa: PTH119, S606 -- its job
    if len(words) == 1:
        words = (shell, "-c", words[0])
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
