"""Where a backup is written: a file that is there whole or not at all, or standard output."""

from __future__ import annotations

import contextlib
import os
import secrets
from contextlib import contextmanager
from typing import IO, TYPE_CHECKING

from penguindome.durable import raise_for, sync_dir

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

#: What an unfinished backup is called, so that a later one may remove it.
UNFINISHED = ".unfinished"


@contextmanager
def whole_file(path: Path) -> Iterator[IO[bytes]]:
    """Yield a file that takes its name, readable by its owner only, when the block ends well.

    Raises:
        LimitExceeded: the disk is full; nothing is left of it.
        PreconditionFailed: the file cannot be written.
    """
    temporary = path.with_name(f".{path.name[:100]}.{secrets.token_hex(6)}{UNFINISHED}")
    flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
    try:
        with os.fdopen(os.open(temporary, flags, 0o600), "wb") as file:
            yield file
            file.flush()
            os.fsync(file.fileno())
        temporary.replace(path)
        sync_dir(path.parent)
    except OSError as error:
        _remove(temporary)
        raise_for(error, path)
    except BaseException:
        _remove(temporary)
        raise


def _remove(path: Path) -> None:
    with contextlib.suppress(OSError):
        path.unlink(missing_ok=True)
