"""Making a backup: the writer, where its bytes go, and the note of when it was."""

from __future__ import annotations

from typing import IO, TYPE_CHECKING

from penguind.backup.output import whole_file
from penguind.backup.sealing import encrypting
from penguind.backup.writing import BackupWriter
from penguind.store.backup_notes import BackupNotes

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from penguind.backup.contents import Header, Totals
    from penguind.backup.writing import Progress
    from penguind.config import Settings
    from penguind.store.database import Database
    from penguindome.times import Clock


def silent(_what: str, _size: int) -> None:
    """Say nothing about progress."""


async def write_backup(
    settings: Settings,
    database: Database,
    clock: Clock,
    output: IO[bytes],
    *,
    keys: Sequence[Path],
    progress: Progress = silent,
) -> tuple[Header, Totals]:
    """Write a backup to an open file, encrypted if there are keys.

    Raises:
        PenguinDomeError: as `BackupWriter.run` and `encrypting`.
    """
    if not keys:
        made = await BackupWriter(settings, database, clock, output, progress).run()
    else:
        with encrypting(keys, output) as plain:
            made = await BackupWriter(settings, database, clock, plain, progress).run()
    output.flush()
    return made


async def save_backup(
    settings: Settings, database: Database, clock: Clock, path: Path, *, keys: Sequence[Path]
) -> tuple[Header, Totals]:
    """Write a backup to a file of its own, and note when.

    Raises:
        PenguinDomeError: as `write_backup` and `whole_file`; the file is not there then.
    """
    with whole_file(path) as output:
        made = await write_backup(settings, database, clock, output, keys=keys)
    await BackupNotes(database).note(clock())
    return made
