"""Run a tool of the system from a plugin, and read files below a root folder.

Parsers take these as arguments, so that recorded states of other machines can be replayed.
"""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from penguindome.errors import NotFound, Unavailable

if TYPE_CHECKING:
    from pathlib import Path

_PATH = "/usr/sbin:/usr/bin:/sbin:/bin"
_READ_LIMIT = 4 * 1024 * 1024


@dataclass(frozen=True, slots=True)
class Answer:
    """What a tool said; `code` is its exit status."""

    code: int
    stdout: str
    stderr: str = ""


# Runs a command line; raises NotFound when the machine has no such tool.
Run = Callable[..., Answer]


def run(*words: str, timeout_seconds: float = 30) -> Answer:
    """Run a tool of the system to its end.

    Raises:
        NotFound: the machine has no such tool.
        Unavailable: the tool does not end, or cannot be started.
    """
    path = shutil.which(words[0], path=_PATH)
    if path is None:
        raise NotFound(f"{words[0]} is not installed", subject=words[0])
    try:
        done = subprocess.run(
            [path, *words[1:]],
            capture_output=True,
            stdin=subprocess.DEVNULL,
            timeout=timeout_seconds,
            check=False,
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        raise Unavailable(f"{words[0]} does not answer: {error}", subject=words[0]) from error
    return Answer(
        done.returncode,
        done.stdout.decode(errors="replace"),
        done.stderr.decode(errors="replace"),
    )


def read_text(path: Path) -> str | None:
    """Return a file of the kernel or the system as text, None when it cannot be read."""
    try:
        with path.open("rb") as file:
            return file.read(_READ_LIMIT).decode(errors="replace")
    except OSError:
        return None
