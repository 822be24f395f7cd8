"""Find the processes of some uids, and end them for good.

A process is named by a descriptor (pidfd) before it is looked at, so that no signal can hit
another one that got its number meanwhile.
Source: pidfd_open(2), proc_pid_status(5), man-pages 6.03.
"""

from __future__ import annotations

import os
import signal
import time
from collections import Counter
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

from penguin_agent.parsers.tools import read_text

if TYPE_CHECKING:
    from collections.abc import Mapping

    from penguin_agent.wipe.accounts import Account

    Owners = list[tuple[range, Account]]

_ROUNDS = 100
_PAUSE_SECONDS = 0.05


def count_by_user(owners: Owners, proc: Path = Path("/proc")) -> dict[str, int]:
    """Return how many processes each account has, by its name; without those that have none."""
    found: Counter[str] = Counter()
    for pid in _pids(proc):
        owner = _owner(read_text(proc / str(pid) / "status") or "", owners)
        if owner is not None:
            found[owner.name] += 1
    return dict(sorted(found.items()))


def end_all(owners: Owners) -> Mapping[str, int]:
    """Kill until no process of these accounts is left; return how many are, by account.

    A process that makes new ones faster than they are killed is stopped first.
    """
    for number in range(_ROUNDS):
        if not _signal_all(owners, signal.SIGSTOP):
            return {}
        _signal_all(owners, signal.SIGKILL)
        time.sleep(_PAUSE_SECONDS if number else 0.01)
    return count_by_user(owners)


def uids_of(status: str) -> tuple[int, ...]:
    """Return a process's real, effective, saved and file system uid; none for a dead process."""
    fields = dict(line.partition(":")[::2] for line in status.splitlines())
    if fields.get("State", "").strip()[:1] in ("Z", "X", ""):
        return ()
    words = fields.get("Uid", "").split()
    return tuple(int(word) for word in words if word.isascii() and word.isdigit())


def _signal_all(owners: Owners, number: signal.Signals) -> int:
    sent = 0
    for pid in _pids(Path("/proc")):
        if pid in (1, os.getpid()):
            continue
        try:
            descriptor = os.pidfd_open(pid)
        except OSError:
            continue
        try:
            if _owner(read_text(Path(f"/proc/{pid}/status")) or "", owners) is not None:
                with suppress(ProcessLookupError):
                    signal.pidfd_send_signal(descriptor, number)
                    sent += 1
        finally:
            os.close(descriptor)
    return sent


def _owner(status: str, owners: Owners) -> Account | None:
    uids = uids_of(status)
    # A service of root's that looks at files as somebody is not theirs; their sudo is.
    if not uids or uids[0] == 0:
        return None
    return next((one for span, one in owners if any(uid in span for uid in uids)), None)


def _pids(proc: Path) -> list[int]:
    with suppress(OSError):
        return [int(name) for name in os.listdir(proc) if name.isdigit()]  # noqa: PTH208 -- names
    return []
