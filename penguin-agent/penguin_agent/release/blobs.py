"""Contents by their hash, on the device's disk: what trees are made of by hard links.

A content stands once for each mode, since files that are linked share one. What no tree needs any
more goes when a tree was installed; a part that was fetched stays, so that fetching can go on.
"""

from __future__ import annotations

import os
from contextlib import contextmanager, suppress
from dataclasses import replace
from hashlib import sha256
from typing import TYPE_CHECKING

from penguin_agent.failpoints import no_failpoint
from penguin_agent.release.beneath import opened, parent_of, read_checked, sync
from penguindome.durable import make_private_dir, raise_for
from penguindome.errors import Damaged

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from penguin_agent.failpoints import Failpoint
    from penguindome.orders.manifest import FileEntry

_NEW = os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC


class Blobs:
    """The folder `blobs`.

    Args:
        directory: Where they are; root's alone.
        failpoint: For tests of crashes.
    """

    def __init__(self, directory: Path, failpoint: Failpoint = no_failpoint) -> None:
        self._directory = directory
        self._failpoint = failpoint

    def prepare(self) -> None:
        """Make the folder."""
        make_private_dir(self._directory)

    def free_bytes(self) -> int:
        """Return how much the agent may still write there."""
        status = os.statvfs(self._directory)
        return status.f_bavail * status.f_frsize

    def has(self, entry: FileEntry) -> bool:
        """Tell whether a content is there and good; a damaged one is removed."""
        path = self._directory / name_of(entry)
        with opened(self._directory) as top:
            try:
                read_checked(top, _as_blob(entry))
            except Damaged:
                path.unlink(missing_ok=True)
                return False
        return True

    def put(self, entry: FileEntry, data: bytes) -> None:
        """Keep a content that is all in memory.

        Raises:
            Damaged: `wrong-content`: it is not the one that was signed.
            LimitExceeded: The disk is full.
        """
        if len(data) != entry.size or sha256(data).hexdigest() != entry.sha256:
            raise wrong_content(entry)
        with self.part(entry, 0) as file:
            file.write(data)
        self.complete(entry)

    def part_size(self, entry: FileEntry) -> int:
        """Return how much of a content was fetched before; 0 for none or for too much."""
        path = self._part(entry)
        with suppress(OSError):
            size = path.lstat().st_size
            return size if size <= entry.size else 0
        return 0

    @contextmanager
    def part(self, entry: FileEntry, offset: int) -> Iterator[Part]:
        """Lend a content's part for writing; what was written stays when that ends early.

        Args:
            entry: Which content.
            offset: What to keep of what is there, bytes.

        Raises:
            LimitExceeded: The disk is full; the part is gone then.
        """
        path = self._part(entry)
        part = Part(path, offset)
        try:
            yield part
            part.flush()
        except OSError as error:
            path.unlink(missing_ok=True)
            raise_for(error, path)
        finally:
            part.close()

    def complete(self, entry: FileEntry) -> None:
        """Take a part that is complete and was checked as the content.

        Raises:
            Damaged: `wrong-content`: it is not; the part is gone.
        """
        path = self._part(entry)
        self._failpoint("release.part-written")
        path.chmod(entry.mode)
        with opened(self._directory) as top:
            sync(top, path.name)
            try:
                read_checked(top, _as_blob(entry, path.name))
            except Damaged:
                path.unlink(missing_ok=True)
                raise wrong_content(entry) from None
            path.rename(self._directory / name_of(entry))
            os.fsync(top)
        self._failpoint("release.blob-written")

    def forget_part(self, entry: FileEntry) -> None:
        """Remove a part that is of no use."""
        self._part(entry).unlink(missing_ok=True)

    def link(self, entry: FileEntry, top: int) -> None:
        """Have a content stand at its path beneath a tree's folder."""
        with (
            opened(self._directory) as source,
            parent_of(top, entry.path, make=True) as (
                folder,
                name,
            ),
        ):
            os.link(
                name_of(entry), name, src_dir_fd=source, dst_dir_fd=folder, follow_symlinks=False
            )

    def adopt(self, entry: FileEntry, top: int, path: str) -> bool:
        """Take a content from a tree that has it, e.g. under another path; tell whether it could.

        Args:
            entry: What is wanted.
            top: The tree's folder.
            path: Where it stands there.
        """
        with opened(self._directory) as blobs, suppress(OSError):
            with parent_of(top, path) as (folder, name):
                os.link(
                    name,
                    name_of(entry),
                    src_dir_fd=folder,
                    dst_dir_fd=blobs,
                    follow_symlinks=False,
                )
            return self.has(entry)
        return False

    def clean(self) -> None:
        """Remove contents that no tree has, and parts."""
        for path in self._directory.iterdir():
            if path.lstat().st_nlink < 2:
                path.unlink()

    def _part(self, entry: FileEntry) -> Path:
        return self._directory / f"{name_of(entry)}.part"


class Part:
    """A file that grows, hashed as it does.

    Attributes:
        size: How long it is now, bytes.
    """

    def __init__(self, path: Path, offset: int) -> None:
        self.size = offset
        self._hash = sha256()
        self._file = os.fdopen(os.open(path, _NEW, 0o600), "r+b")
        self._file.truncate(offset)
        while data := self._file.read(1 << 20):
            self._hash.update(data)

    def write(self, data: bytes) -> None:
        """Add bytes."""
        self._file.write(data)
        self._hash.update(data)
        self.size += len(data)

    def digest(self) -> str:
        """Return the hash of everything so far, hexadecimal."""
        return self._hash.hexdigest()

    def flush(self) -> None:
        """Hand everything to the system."""
        self._file.flush()

    def close(self) -> None:
        """Close it; what the disk did not take is lost."""
        with suppress(OSError):
            self._file.close()


def name_of(entry: FileEntry) -> str:
    """Return the name of the file that holds a content with a mode."""
    return f"{entry.sha256}-{entry.mode:04o}"


def wrong_content(entry: FileEntry) -> Damaged:
    """Return the error for bytes that nobody signed."""
    return Damaged(
        "the content that came is not the one that was signed",
        code="wrong-content",
        subject=entry.path,
        remedy="The server holds something else than was signed: look into it",
    )


def _as_blob(entry: FileEntry, name: str = "") -> FileEntry:
    return replace(entry, path=name or name_of(entry))
