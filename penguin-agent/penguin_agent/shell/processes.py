"""Find the processes below one, collect those that ended, and end all of them.

A session's holder begins with this: it imports next to nothing.
"""

from __future__ import annotations

import _signal as signal  # type: ignore[import-not-found] # what is beneath `signal`
import os
import time

TYPE_CHECKING = False
if TYPE_CHECKING:
    from types import TracebackType

POLITE_SECONDS = 1.0
STEP_SECONDS = 0.02
KILL_ROUNDS = 400


class suppressed:  # noqa: N801 -- contextlib's `suppress`, which takes a ms to import
    """Do without a block's errors of some kinds."""

    def __init__(self, *errors: type[Exception]) -> None:
        """Take the kinds."""
        self._errors = errors

    def __enter__(self) -> None:
        """Begin."""

    def __exit__(
        self, error: type[BaseException] | None, _value: object, _where: TracebackType | None
    ) -> bool:
        """Swallow an error of these kinds."""
        return error is not None and issubclass(error, self._errors)


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
            kill(pid, number)
    while not is_alone() and time.monotonic() < limit:
        time.sleep(STEP_SECONDS)
        ended.update(reap())
    for _ in range(KILL_ROUNDS):
        if is_alone():
            break
        for pid in descendants(os.getpid()):
            kill(pid, signal.SIGKILL)
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


def kill(pid: int, number: int) -> None:
    """Send a signal to a process, if it is there."""
    with suppressed(OSError):
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
