"""Remove the folders that plugins worked in, whatever they left there."""

from __future__ import annotations

import os
import secrets
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable


def remove_tree(top: Path) -> None:
    """Remove a folder and what is in it, as far as that is possible; never an error.

    Folders are moved up before they are removed, so that neither Python's stack nor the longest
    path bounds their depth; shutil.rmtree gives up at a thousand.
    """
    _open(top)
    while _thin_out(top):
        pass
    with suppress(OSError):
        top.rmdir()


def _thin_out(top: Path) -> bool:
    """Remove files, and folders whose own folders moved up; return whether anything changed."""
    changed = False
    for path in _entries(top):
        if _is_folder(path):
            _open(path)
            for inner in _entries(path):
                changed |= _moved_up(inner, top) if _is_folder(inner) else _done(os.unlink, inner)
            changed |= _done(os.rmdir, path)
        else:
            changed |= _done(os.unlink, path)
    return changed


def _moved_up(folder: str, top: Path) -> bool:
    _open(folder)  # a folder that may not be written cannot be moved either
    return _done(os.rename, folder, str(top / secrets.token_hex(8)))


def _is_folder(path: str) -> bool:
    return Path(path).is_dir() and not Path(path).is_symlink()


def _entries(folder: str | Path) -> list[str]:
    try:
        return [os.path.join(folder, name) for name in os.listdir(folder)]  # noqa: PTH118, PTH208
    except OSError:
        return []


def _open(folder: str | Path) -> None:
    with suppress(OSError):
        Path(folder).chmod(0o700)


def _done(step: Callable[..., None], *paths: str) -> bool:
    try:
        step(*paths)
    except OSError:
        return False
    return True
