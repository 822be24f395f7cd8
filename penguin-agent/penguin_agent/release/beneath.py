"""Reach files beneath a folder without ever following a link.

Trust: the folder is root's alone; a link in it was put there by somebody who should not have.
"""

from __future__ import annotations

import errno
import os
import stat
from contextlib import contextmanager
from hashlib import sha256
from typing import TYPE_CHECKING

from penguindome.errors import Damaged

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from penguindome.orders.manifest import FileEntry

_DEPTH = 8
_FOLDER = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
# O_NONBLOCK: opening a planted fifo must not hang.
_FILE = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC


@contextmanager
def opened(folder: Path) -> Iterator[int]:
    """Lend a descriptor of a folder that is no link."""
    descriptor = os.open(folder, _FOLDER)
    try:
        yield descriptor
    finally:
        os.close(descriptor)


@contextmanager
def parent_of(top: int, path: str, *, make: bool = False) -> Iterator[tuple[int, str]]:
    """Lend the folder of a path beneath `top`, and the path's last part.

    Args:
        top: A folder's descriptor.
        path: Checked by `check_path`: plain parts only.
        make: Whether folders that are missing are made, for root alone.
    """
    *folders, last = path.split("/")
    descriptor = os.dup(top)
    try:
        for name in folders:
            if make:
                _make(name, descriptor)
            inner = os.open(name, _FOLDER, dir_fd=descriptor)
            os.close(descriptor)
            descriptor = inner
        yield descriptor, last
    finally:
        os.close(descriptor)


def read_checked(top: int, entry: FileEntry) -> bytes:
    """Return a file's bytes if they are the ones that were signed.

    Raises:
        Damaged: They are not, or it is no regular file there.
    """
    try:
        with parent_of(top, entry.path) as (folder, name):
            descriptor = os.open(name, _FILE, dir_fd=folder)
        with os.fdopen(descriptor, "rb") as file:
            found = os.fstat(descriptor)
            if not stat.S_ISREG(found.st_mode) or found.st_size != entry.size:
                raise _altered(entry.path, "it is another file")
            data = file.read(entry.size + 1)
    except OSError as error:
        raise _altered(entry.path, error.strerror or "it cannot be read") from None
    if sha256(data).hexdigest() != entry.sha256:
        raise _altered(entry.path, "its content is another one")
    if stat.S_IMODE(found.st_mode) != entry.mode or found.st_uid != os.geteuid():
        raise _altered(entry.path, "its mode or owner is another one")
    return data


def names_beneath(top: int, prefix: str = "") -> Iterator[tuple[str, bool]]:
    """Yield the path of everything beneath a folder, and whether it is a folder; links are not.

    Not deeper than a signed path can be: what is there belongs to nobody anyway.
    """
    with os.scandir(top) as entries:
        found = [(entry.name, entry.is_dir(follow_symlinks=False)) for entry in entries]
    for name, is_folder in sorted(found):
        yield prefix + name, is_folder
        if is_folder and prefix.count("/") < _DEPTH:
            inner = os.open(name, _FOLDER, dir_fd=top)
            try:
                yield from names_beneath(inner, f"{prefix}{name}/")
            finally:
                os.close(inner)


def sync(top: int, path: str) -> None:
    """Make a folder's entries, or a file's bytes, durable."""
    with parent_of(top, path) as (folder, name):
        descriptor = os.open(name, _FILE, dir_fd=folder)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)


def _make(name: str, folder: int) -> None:
    try:
        os.mkdir(name, 0o700, dir_fd=folder)
    except OSError as error:
        if error.errno != errno.EEXIST:
            raise


def _altered(path: str, reason: str) -> Damaged:
    return Damaged(f"the file is not as it was signed: {reason}", code="altered", subject=path)
