"""Write files that survive a power cut whole or not at all, and read them back within bounds."""

from __future__ import annotations

import contextlib
import errno
import os
import secrets
import stat
from typing import TYPE_CHECKING, NoReturn

from penguindome.errors import LimitExceeded, NotFound, PreconditionFailed

if TYPE_CHECKING:
    from pathlib import Path

READ_LIMIT_BYTES = 16 * 1024 * 1024
_FULL = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EFBIG})


def write_file(path: Path, data: bytes, mode: int = 0o600) -> None:
    """Replace a file's contents; on any failure the old file stays as it was.

    Raises:
        LimitExceeded: The disk is full.
        PreconditionFailed: The file cannot be written for another reason.
    """
    temporary = path.with_name(f".{path.name[:100]}.{secrets.token_hex(6)}.tmp")
    try:
        _write_new(temporary, data, mode)
        temporary.replace(path)
        sync_dir(path.parent)
    except OSError as error:
        with contextlib.suppress(OSError):
            temporary.unlink(missing_ok=True)
        raise_for(error, path)


def read_file(path: Path, limit: int = READ_LIMIT_BYTES) -> bytes:
    """Return a regular file's contents; a symbolic link is not followed.

    Raises:
        NotFound: There is none.
        LimitExceeded: It is larger than the limit.
        PreconditionFailed: It cannot be read, or is no regular file.
    """
    try:
        # O_NONBLOCK: opening a planted fifo must not hang.
        flags = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
        with os.fdopen(os.open(path, flags), "rb") as file:
            if not stat.S_ISREG(os.fstat(file.fileno()).st_mode):
                raise _failed(path, "is no regular file", "Move it away")
            data = file.read(limit + 1)
    except OSError as error:
        raise_for(error, path)
    if len(data) > limit:
        raise LimitExceeded(f"larger than {limit} bytes", code="too-large", subject=str(path))
    return data


def is_regular(path: Path) -> bool:
    """Tell whether a regular file stands there: no link, and no fifo that would hold a reader."""
    try:
        return stat.S_ISREG(path.lstat().st_mode)
    except FileNotFoundError:
        return False


def remove_file(path: Path) -> None:
    """Remove a file for good, if it is there."""
    try:
        path.unlink(missing_ok=True)
        sync_dir(path.parent)
    except OSError as error:
        raise_for(error, path)


def make_private_dir(path: Path) -> None:
    """Make a folder with mode 0700, and its parents; an existing one is left as it is.

    Raises:
        PreconditionFailed: Something else stands there, or it cannot be made.
    """
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.mkdir(mode=0o700, exist_ok=True)
        sync_dir(path.parent)
    except OSError as error:
        raise_for(error, path)


def make_open_dir(path: Path) -> None:
    """Make a folder that all may enter, and its parents, whatever our umask; leave existing ones.

    Raises:
        PreconditionFailed: Something else stands there, or it cannot be made.
    """
    missing = [folder for folder in (path, *path.parents) if not folder.exists()]
    for folder in reversed(missing):
        try:
            folder.mkdir()
            folder.chmod(0o755)
        except OSError as error:
            raise_for(error, folder)


def check_private(path: Path, *, owner_uid: int, max_mode: int, directory: bool) -> None:
    """Check that nobody else can have touched, or can read, a file or folder.

    Raises:
        NotFound: It does not exist.
        PreconditionFailed: Wrong kind, owner or mode; the remedy is a command.
    """
    try:
        found = path.lstat()
    except OSError as error:
        raise_for(error, path)
    right_kind = stat.S_ISDIR if directory else stat.S_ISREG
    if not right_kind(found.st_mode):
        kind = "folder" if directory else "regular file"
        raise _failed(path, f"is no {kind}", "Move it away")
    if found.st_uid != owner_uid:
        reason = f"belongs to uid {found.st_uid} instead of {owner_uid}"
        # What is root's was more often meant to be so than not.
        run = "Run" if found.st_uid else "Run it with sudo, or"
        raise _failed(path, reason, f"{run}: chown {owner_uid} {path}")
    mode = stat.S_IMODE(found.st_mode)
    if mode & ~max_mode:
        reason = f"has mode {mode:04o}, which lets others in"
        raise _failed(path, reason, f"Run: chmod {max_mode:04o} {path}")


def sync_dir(path: Path) -> None:
    """Make a folder's entries durable."""
    descriptor = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def raise_for(error: OSError, path: Path) -> NoReturn:
    """Raise our error for the system's.

    Raises:
        NotFound: The file or a folder above does not exist.
        LimitExceeded: The disk or a quota is full.
        PreconditionFailed: Anything else.
    """
    if error.errno in _FULL:
        raise LimitExceeded(
            "disk full; nothing was changed",
            code="disk-full",
            subject=str(path),
            remedy="Free some space on this file system",
        ) from error
    reason = error.strerror or str(error)
    if isinstance(error, FileNotFoundError):
        raise NotFound("does not exist", code="file-not-found", subject=str(path)) from error
    if error.errno == errno.ELOOP:
        raise _failed(path, "is a symbolic link", "Put the file itself there") from error
    raise _failed(path, f"cannot be used: {reason}", _remedy(path)) from error


def _remedy(path: Path) -> str:
    if not os.geteuid():
        return "Check its mode"
    home = os.environ.get("HOME", "")
    # Who became root to write at home would only leave more there that is root's.
    if len(home) > 1 and path.is_relative_to(home):
        return "Correct its owner and mode"
    return "Run it with sudo, or correct owner and mode"


def _write_new(path: Path, data: bytes, mode: int) -> None:
    flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
    with os.fdopen(os.open(path, flags, mode), "wb") as file:
        os.fchmod(file.fileno(), mode)
        file.write(data)
        file.flush()
        os.fsync(file.fileno())


def _failed(path: Path, reason: str, remedy: str) -> PreconditionFailed:
    return PreconditionFailed(reason, code="bad-file", subject=str(path), remedy=remedy)
