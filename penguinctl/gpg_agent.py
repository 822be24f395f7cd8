"""Open GnuPG homes. The agent that gpg starts in a home of our own is ended after each use.

Both can be done beside other things: it is started while something is made that will be signed, and
ended while what was signed is on its way.
"""

from __future__ import annotations

import fcntl
import os
import subprocess
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager, suppress
from functools import cache
from typing import TYPE_CHECKING

import gnupg

from penguinctl.gpg_home import check_short
from penguindome.errors import PreconditionFailed

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

_START_SECONDS = 10
_END_SECONDS = 10
# What keeps agents that were started for somebody, by their homes.
_ready: dict[Path, ExitStack] = {}
# What ends agents at this moment.
_ending: list[subprocess.Popen[bytes]] = []


def get_ready(home: Path | None, *, own_home: bool) -> None:
    """Begin to start a home's agent, for who opens the home soon; it is ended after that.

    Nothing is done for a home that is not ours, and what is wrong with one is left to be told when
    it is opened.
    """
    if not own_home or home is None or home in _ready:
        return
    _wait()
    with suppress(PreconditionFailed, OSError), ExitStack() as stack:
        check_short(home)
        stack.enter_context(_used(home))
        # Ended before the agent is: what was begun to be started is there by then.
        stack.enter_context(ThreadPoolExecutor(1)).submit(_start, home)
        _ready[home] = stack.pop_all()


@contextmanager
def opened(home: Path | None, *, own_home: bool) -> Iterator[gnupg.GPG]:
    """Open a GnuPG home, and have the agent of a home that is ours ended.

    Args:
        home: None for the operator's own.
        own_home: Whether penguinctl made it.

    Raises:
        PreconditionFailed: gpg cannot be used there.
    """
    _wait()
    gpg = _gpg(home, own_home=own_home)
    if not own_home or home is None:
        yield gpg
        return
    with _ready.pop(home, None) or _used(home):
        yield gpg


def end_agents() -> None:
    """Wait until all agents are ended that were started here, as is done at the program's end."""
    while _ready:
        _ready.popitem()[1].close()
    _wait()


def _wait() -> None:
    """Wait until the agents are ended of which that was wanted."""
    while _ending:
        with suppress(subprocess.TimeoutExpired):
            _ending.pop().wait(_END_SECONDS)


def _start(home: Path) -> None:
    """Start a home's agent, and ask gpg what whoever opens the home asks."""
    with suppress(subprocess.TimeoutExpired):
        _say(home, "/bye").wait(_START_SECONDS)
    _gpg(home, own_home=True)


@cache
def _gpg(home: Path | None, *, own_home: bool) -> gnupg.GPG:
    """Return gpg for a home; asked once which version it is, and which ways it has."""
    environment = dict(os.environ)
    if "GPG_TTY" not in environment and os.isatty(2):
        environment["GPG_TTY"] = os.ttyname(2)
    # Whom gpg would trust means nothing here, and a lock on that would be waited for.
    options = ["--no-auto-check-trustdb", *(["--no-options"] if own_home else [])]
    try:
        return gnupg.GPG(
            gnupghome=None if home is None else str(home), options=options, env=environment
        )
    except (OSError, ValueError) as error:
        raise PreconditionFailed(
            f"gpg cannot be used: {error}", remedy="Install GnuPG (package gnupg)"
        ) from error


@contextmanager
def _used(home: Path) -> Iterator[None]:
    """Hold a home's shared lock; whoever gets it alone in the end has the agent ended."""
    descriptor = os.open(home, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_SH)
        try:
            yield
        finally:
            # Another one that signs at this moment needs the agent, and ends it itself.
            with suppress(BlockingIOError):
                fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
                # The lock is held until that is done.
                _ending.append(_say(home, "--no-autostart", "KILLAGENT", "/bye", keeps=descriptor))
    finally:
        os.close(descriptor)


def _say(home: Path, *words: str, keeps: int | None = None) -> subprocess.Popen[bytes]:
    """Begin to say something to a home's agent, by a process that keeps a descriptor open."""
    return subprocess.Popen(
        ["gpg-connect-agent", "--homedir", str(home), *words],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        pass_fds=() if keeps is None else (keeps,),
        start_new_session=True,
    )
