"""Read a secret's first line from its file, each time anew, since it may be replaced."""

from __future__ import annotations

from typing import TYPE_CHECKING

from penguindome.durable import read_file

if TYPE_CHECKING:
    from pathlib import Path

_LIMIT_BYTES = 4096


def read_secret(path: Path) -> bytes:
    """Return the first line of a file.

    Raises:
        PenguinDomeError: it cannot be read.
    """
    return read_file(path.resolve(), _LIMIT_BYTES).split(b"\n", 1)[0].strip()
