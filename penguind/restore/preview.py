"""Reading a backup through before anything is touched: is it whole, and which settings has it."""

from __future__ import annotations

import os
import shutil
import tempfile
from contextlib import contextmanager
from pathlib import Path
from typing import IO, TYPE_CHECKING

from penguind.backup.reading import Nobody, Reading
from penguindome.durable import raise_for
from penguindome.errors import Damaged

if TYPE_CHECKING:
    from collections.abc import Iterator

    from penguind.backup.contents import FileEntry, Header

_SETTINGS_LIMIT_BYTES = 1 << 20
_LARGE_TEMPORARY = Path("/var/tmp")  # noqa: S108 -- the file has no name there


class Preview(Nobody):
    """Takes the settings' text."""

    def __init__(self) -> None:
        self.settings = b""
        self._inside = False

    async def file(self, entry: FileEntry) -> None:
        """Notice the settings."""
        self._inside = entry.root == "settings"

    async def data(self, chunk: bytes) -> None:
        """Keep the settings."""
        if self._inside and len(self.settings) <= _SETTINGS_LIMIT_BYTES:
            self.settings += chunk


async def preview(file: IO[bytes]) -> tuple[Header, str]:
    """Read a backup to its end, and go back to its start; return header and settings.

    Raises:
        InvalidInput, NotSupported, Damaged: it is not whole.
    """
    taker = Preview()
    header, _ = await Reading(taker).run(file)
    file.seek(0)
    try:
        text = taker.settings.decode()
    except UnicodeDecodeError:
        text = ""
    if not text:
        raise Damaged("the backup holds no settings", subject="backup")
    return header, text


@contextmanager
def opened(path: str, standard_input: IO[bytes]) -> Iterator[IO[bytes]]:
    """Open a backup so that it can be read twice; `-` is standard input, kept without a name.

    Raises:
        NotFound, LimitExceeded, PreconditionFailed: as the system says.
    """
    if path == "-":
        folder = _LARGE_TEMPORARY if os.access(_LARGE_TEMPORARY, os.W_OK) else None
        with tempfile.TemporaryFile(dir=folder) as copy:
            try:
                shutil.copyfileobj(standard_input, copy, 1 << 20)
            except OSError as error:
                raise_for(error, folder or Path(tempfile.gettempdir()))
            copy.seek(0)
            yield copy
        return
    try:
        file = Path(path).open("rb")  # noqa: SIM115 -- closed below; errors of the block are not ours
    except OSError as error:
        raise_for(error, Path(path))
    with file:
        yield file
