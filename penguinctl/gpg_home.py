"""Look at a GnuPG home before gpg does, where gpg would wait for ever or blame something else."""

from __future__ import annotations

import os
import time
from pathlib import Path

from penguindome.errors import PreconditionFailed

# gpg-agent's socket has to fit into 108 bytes where /run/user/<uid> is missing.
LONGEST_HOME = 80
LOCK_SECONDS = 5


def check_short(home: Path | None, *, always: bool = False) -> None:
    """Refuse a home whose path leaves no room for gpg-agent's socket.

    Args:
        home: None for the operator's own.
        always: Whether it may be used where /run/user/<uid>, with its short paths, is missing.

    Raises:
        PreconditionFailed: It is too long.
    """
    path = home or Path(os.environ.get("GNUPGHOME") or Path.home() / ".gnupg")
    elsewhere = not always and Path(f"/run/user/{os.getuid()}").is_dir()
    if len(os.fsencode(path)) > LONGEST_HOME and not elsewhere:
        raise PreconditionFailed(
            f"the path is longer than {LONGEST_HOME} bytes, too long for gpg-agent's socket",
            subject=str(path),
            remedy="Give a shorter one with --gpg-home",
        )


def check_unlocked(home: Path) -> None:
    """Refuse a home that another machine's gpg has locked: gpg would wait for it for ever.

    Source: GnuPG common/dotlock.c: the process id in ten columns, then the machine's name.

    Raises:
        PreconditionFailed: It stays locked.
    """
    until = time.monotonic() + LOCK_SECONDS
    while (lock := _foreign_lock(home)) is not None:
        if time.monotonic() > until:
            raise PreconditionFailed(
                "gpg's keyring is locked by another machine, or was by this one under another name",
                subject=str(lock),
                code="keyring-locked",
                remedy="Remove this file if no gpg works with the keyring elsewhere",
            )
        time.sleep(0.2)


def _foreign_lock(home: Path) -> Path | None:
    for path in sorted(home.glob("*.lock")):
        try:
            words = path.read_text(encoding="utf-8", errors="replace").split("\n")
        except OSError:
            continue
        if len(words) > 1 and words[1] != os.uname().nodename:
            return path
    return None
