"""The files of a release: what of a folder belongs to it.

Regular files only. Left out are what editors and Python leave behind: `.#*`, `*~`, `*.pyc`,
`__pycache__`, and `.git`. Two walks of the same folder give the same list, in the same order.
"""

from __future__ import annotations

import hashlib
import os
import stat
import sys
from dataclasses import dataclass
from fnmatch import fnmatchcase
from pathlib import Path
from typing import TYPE_CHECKING

from penguindome.durable import read_file
from penguindome.errors import InvalidInput, NotFound
from penguindome.orders.manifest import (
    FILE_LIMIT_BYTES,
    FileEntry,
    check_manifest,
    check_path,
)
from penguindome.outputs import valid_plugin_name

if TYPE_CHECKING:
    from collections.abc import Iterator

_SKIPPED = (".#*", "*~", "*.pyc", "__pycache__", ".git")
_PROGRAMS = ("plugins", "commands")
_CHECKOUT = Path(__file__).resolve().parents[1] / "penguin-agent/plugins"
_SHIPPED = (
    _CHECKOUT,
    Path(sys.prefix) / "share/penguin-agent/plugins",
    Path("/usr/share/penguin-agent/plugins"),
    Path("/usr/lib/penguin-agent/plugins"),
)


@dataclass(frozen=True, slots=True)
class Tree:
    """Files of a release.

    Attributes:
        entries: Sorted by path.
        contents: By SHA-256.
        skipped: Paths beneath the folder that were left out, but for editors' leavings.
    """

    entries: tuple[FileEntry, ...]
    contents: dict[str, bytes]
    skipped: tuple[str, ...] = ()


def read_tree(folder: Path | None, *, shipped: bool = False) -> Tree:
    """Return the tree of a folder.

    Args:
        folder: Where the files are; None for the shipped plugins alone.
        shipped: Whether to begin with the plugins of this package; the folder's files win.

    Raises:
        InvalidInput: A file cannot be in a release; names it.
        NotFound: The package's plugins are not here.
    """
    found: dict[str, Path] = {}
    skipped: list[str] = []
    if shipped:
        found |= {f"plugins/{name}": path for name, path in _walk(shipped_plugins(), skipped)}
    if folder is not None:
        found |= dict(_walk(folder, skipped))
    contents: dict[str, bytes] = {}
    entries = []
    for path in sorted(found):
        entry, data = read_entry(path, found[path])
        contents[entry.sha256] = data
        entries.append(entry)
    check_manifest(entries)
    return Tree(tuple(entries), contents, tuple(sorted(skipped)))


def read_entry(path: str, source: Path, mode: int | None = None) -> tuple[FileEntry, bytes]:
    """Return one file as a release or a patch has it.

    Args:
        path: Where it goes beneath the device's tree.
        source: The file.
        mode: 0o644 or 0o755; None takes it from the file.

    Raises:
        InvalidInput: It cannot be there.
    """
    check_path(path)
    data = read_file(source, FILE_LIMIT_BYTES)
    if mode is None:
        mode = 0o755 if source.stat().st_mode & stat.S_IXUSR else 0o644
    check_program(path, mode)
    return FileEntry(path, mode, len(data), hashlib.sha256(data).hexdigest()), data


def check_program(path: str, mode: int) -> None:
    """Refuse what devices could not run where they run everything.

    Raises:
        InvalidInput: A file in plugins/ or commands/ is not executable, or its name is none.
    """
    folder, _, name = path.partition("/")
    if folder not in _PROGRAMS:
        return
    if not valid_plugin_name(name):
        raise _bad(path, f"a program in {folder}/ has a plain name of letters, digits, _ and -")
    if mode != 0o755:
        raise _bad(path, "it stands where devices run what they find, and is not executable")


def shipped_plugins() -> Path:
    """Return the folder of the plugins that this package brings.

    Raises:
        NotFound: It brings none.
    """
    for folder in _SHIPPED:
        if folder.is_dir():
            return folder
    raise NotFound(
        "the shipped plugins are not on this machine",
        code="no-shipped-plugins",
        remedy="Give a folder with plugins/, copied from a device's /usr/share/penguin-agent",
    )


def _walk(folder: Path, skipped: list[str]) -> Iterator[tuple[str, Path]]:
    """Yield regular files by their paths beneath a folder."""
    if not folder.is_dir():
        raise NotFound("there is no such folder", code="no-folder", subject=str(folder))
    for where, folders, names in os.walk(folder):
        folders[:] = sorted(one for one in folders if not _left_out(one))
        for name in sorted(names):
            path = Path(where, name)
            beneath = path.relative_to(folder).as_posix()
            if _left_out(name):
                continue
            if stat.S_ISREG(path.lstat().st_mode):
                yield beneath, path
            else:
                skipped.append(beneath)
        skipped += [
            Path(where, one).relative_to(folder).as_posix()
            for one in folders
            if Path(where, one).is_symlink()
        ]


def _left_out(name: str) -> bool:
    return any(fnmatchcase(name, pattern) for pattern in _SKIPPED)


def _bad(path: str, reason: str) -> InvalidInput:
    return InvalidInput(
        reason,
        code="bad-program",
        subject=path,
        remedy="Make it executable (chmod +x) or put it elsewhere; leave out what is no program",
    )
