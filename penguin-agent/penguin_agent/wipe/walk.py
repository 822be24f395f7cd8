"""Go through a folder by open descriptors only: nobody can lead it elsewhere by swapping names.

A folder is entered through its parent's descriptor, never through a link, and only when it lies on
the same mount: what is mounted within is not entered, be it of the same file system or not.
Source: openat(2), unlinkat(2), proc_pid_fdinfo(5) (mnt_id), man-pages 6.03.
"""

from __future__ import annotations

import errno
import os
import secrets
import stat
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from penguindome.errors import PreconditionFailed

if TYPE_CHECKING:
    from collections.abc import Iterator

# So many folders are held open at once, so deep; what lies deeper is moved up first.
DEEPEST = 128
LISTED = 20
_PASSES = 5
_FOLDER = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC | os.O_NONBLOCK


@dataclass(slots=True)
class Tally:
    """What was found or removed, and the first of those that were left, as (path, why).

    `uncounted` are folders that lie too deep to be counted; they are removed nevertheless.
    """

    files: int = 0
    folders: int = 0
    size_bytes: int = 0
    uncounted: int = 0
    left: int = 0
    reasons: list[tuple[str, str]] = field(default_factory=list)

    def leave(self, path: str, why: str) -> None:
        """Note something that is not removed."""
        self.left += 1
        if len(self.reasons) < LISTED:
            self.reasons.append((path, why))

    def count(self, found: os.stat_result) -> None:
        """Note a file; one with several names counts at each."""
        self.files += 1
        self.size_bytes += found.st_size


def open_home(root: Path, path: str) -> int:
    """Return a descriptor of a folder, reached from a root without following any link.

    Raises:
        OSError: It is not there, or a part of its path is a link or no folder.
    """
    descriptor = os.open(root, _FOLDER & ~os.O_NOFOLLOW)
    for part in path.strip("/").split("/"):
        try:
            deeper = os.open(part, _FOLDER, dir_fd=descriptor)
        finally:
            os.close(descriptor)
        descriptor = deeper
    return descriptor


def mount_of(descriptor: int) -> int:
    """Return the number of the mount that an open file lies on."""
    text = Path(f"/proc/self/fdinfo/{descriptor}").read_text(encoding="ascii")
    for line in text.splitlines():
        name, _, number = line.partition(":")
        if name == "mnt_id":
            return int(number)
    raise PreconditionFailed("the kernel does not tell which mount a file is on", code="no-mounts")


def measure(top: int) -> Tally:
    """Count what `erase` would remove beneath an open folder."""
    tally = Tally()
    _Walk(top, tally, erases=False).go()
    return tally


def erase(top: int) -> Tally:
    """Remove everything beneath an open folder that lies on its mount; the folder stays.

    Raises:
        PreconditionFailed: It is the root of a machine.
    """
    refuse_root(os.fstat(top))
    tally = Tally()
    for _ in range(_PASSES):
        before = tally.files + tally.folders
        tally.left = 0
        tally.reasons.clear()
        _Walk(top, tally, erases=True).go()
        # What somebody made meanwhile takes another pass; what cannot go does not.
        if not tally.left or tally.files + tally.folders == before:
            break
    return tally


def refuse_root(found: os.stat_result) -> None:
    """Refuse the folder that is `/`, by whatever name it was reached.

    Raises:
        PreconditionFailed: It is.
    """
    here = Path("/").stat()
    if (found.st_dev, found.st_ino) == (here.st_dev, here.st_ino):
        raise PreconditionFailed("this is the root of the machine, no home", code="root-folder")


class _Walk:
    """One walk; `erases` tells whether it removes what it counts."""

    def __init__(self, top: int, tally: Tally, *, erases: bool) -> None:
        self._top = top
        self._mount = mount_of(top)
        self._tally = tally
        self._erases = erases
        self._moved: list[str] = []

    def go(self) -> None:
        self._folder(self._top, "", 0)
        while self._moved:
            name = self._moved.pop()
            self._entry(self._top, name, name, 0)

    def _folder(self, descriptor: int, path: str, depth: int) -> None:
        for name in _names(descriptor):
            self._entry(descriptor, name, f"{path}{name}", depth)

    def _entry(self, parent: int, name: str, path: str, depth: int) -> None:
        try:
            found = os.stat(name, dir_fd=parent, follow_symlinks=False)
            if stat.S_ISDIR(found.st_mode):
                self._enter(parent, name, path, depth)
            else:
                self._file(parent, name, found)
        except FileNotFoundError:
            return
        except OSError as error:
            if error.errno in (errno.ELOOP, errno.ENOTDIR):
                # Somebody put a link where a folder was: it goes, not what it leads to.
                self._swapped(parent, name, path)
            else:
                self._tally.leave(path, error.strerror or str(error))

    def _swapped(self, parent: int, name: str, path: str) -> None:
        try:
            self._file(parent, name, os.stat(name, dir_fd=parent, follow_symlinks=False))
        except OSError as error:
            self._tally.leave(path, error.strerror or str(error))

    def _file(self, parent: int, name: str, found: os.stat_result) -> None:
        if self._erases:
            os.unlink(name, dir_fd=parent)
        self._tally.count(found)

    def _enter(self, parent: int, name: str, path: str, depth: int) -> None:
        descriptor = os.open(name, _FOLDER, dir_fd=parent)
        try:
            if mount_of(descriptor) != self._mount:
                self._tally.leave(path, "another file system is mounted there")
                return
            if depth >= DEEPEST:
                self._deep(parent, name)
                return
            self._folder(descriptor, f"{path}/", depth + 1)
        finally:
            os.close(descriptor)
        if self._erases:
            os.rmdir(name, dir_fd=parent)
        self._tally.folders += 1

    def _deep(self, parent: int, name: str) -> None:
        """Move a deep folder up, to be gone through from there."""
        if not self._erases:
            self._tally.uncounted += 1
            return
        moved = f".wiping-{secrets.token_hex(8)}"
        os.rename(name, moved, src_dir_fd=parent, dst_dir_fd=self._top)
        self._moved.append(moved)


def _names(descriptor: int) -> Iterator[str]:
    """Yield the names in a folder as they are now: one that grows meanwhile does not hold us."""
    try:
        with os.scandir(descriptor) as entries:
            yield from [entry.name for entry in entries]
    except FileNotFoundError:
        return
