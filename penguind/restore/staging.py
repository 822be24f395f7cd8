"""Staging: everything of a backup put where nothing uses it yet, as the service's own user.

Trust: the backup was read through once; it is read again here, and believed only at its end.
"""

from __future__ import annotations

import os
from contextlib import asynccontextmanager, suppress
from typing import IO, TYPE_CHECKING

from penguind.backup.documents import split_documents
from penguind.backup.reading import Reading
from penguind.console import open_external
from penguind.ledger import Ledger
from penguind.mongod.child import Mongod
from penguind.restore.places import remove_tree
from penguind.store import dump
from penguind.store.all import prepare_stores
from penguind.store.backup_notes import BackupNotes, Restored
from penguind.store.database import open_database
from penguindome.durable import make_private_dir, raise_for
from penguindome.errors import PenguinDomeError, PreconditionFailed
from penguindome.times import from_iso

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from penguind.backup.contents import FileEntry, Header
    from penguind.backup.frames import Source
    from penguind.config import Settings
    from penguind.restore.places import Places
    from penguind.store.database import Database
    from penguindome.times import Clock


class Stage:
    """Takes a backup's contents into the staging folder and the marked database."""

    def __init__(self, places: Places, database: Database, settings: Settings) -> None:
        self._roots = {"state": places.files, "checks": places.checks}
        self._database = database
        self._settings = settings
        self._file: IO[bytes] | None = None
        self._collection = ""

    async def begin(self, header: Header) -> None:
        """Check that this is our fleet's.

        Raises:
            PreconditionFailed: it is another's.
        """
        check_fleet(header, self._settings)

    async def file(self, entry: FileEntry) -> None:
        """Begin a file; the settings are not ours to stage."""
        self.close()
        root = self._roots.get(entry.root)
        if root is None:
            return
        path = root / entry.path
        make_private_dir(path.parent)
        flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
        try:
            descriptor = os.open(path, flags, 0o600)
            os.fchmod(descriptor, entry.mode)
        except OSError as error:
            raise_for(error, path)
        self._file = os.fdopen(descriptor, "wb")

    async def data(self, chunk: bytes) -> None:
        """Write the file's next bytes."""
        if self._file is not None:
            self._file.write(chunk)

    async def collection(self, name: str) -> None:
        """Begin a collection."""
        self.close()
        self._collection = name

    async def documents(self, batch: bytes) -> None:
        """Add documents."""
        await dump.fill(self._database, self._collection, split_documents(batch))

    def close(self) -> None:
        """End the file that is open, on disk."""
        if self._file is not None:
            with self._file as file:
                file.flush()
                os.fsync(file.fileno())
            self._file = None


async def stage(places: Places, settings: Settings, source: Source, clock: Clock) -> None:
    """Put everything where it only has to be moved, and say so.

    Raises:
        PenguinDomeError: why not; the caller removes the staging folder.
    """
    for folder in (places.files, places.checks):
        remove_tree(folder)
        make_private_dir(folder)
    async with _database(places, settings) as database:
        await dump.mark(database)
        try:
            header = await _read(places, database, settings, source)
            await _renew(database, settings, header, clock)
        except BaseException:
            with suppress(PenguinDomeError):
                await dump.clear(database)
            raise
        if settings.database.embedded:
            await dump.unmark(database)
    places.set_complete(header.backup_id)


async def finish(settings: Settings) -> None:
    """Let servers use the restored database, if it is the site's own.

    Raises:
        Unavailable: it is away.
    """
    if not settings.database.embedded:
        async with await open_external(settings.database) as database:
            await dump.unmark(database)


def check_fleet(header: Header, settings: Settings) -> None:
    """Check that a backup is of the fleet that the settings name.

    Raises:
        PreconditionFailed: it is not.
    """
    if header.fleet_id != settings.server.fleet_id:
        raise PreconditionFailed(
            f"the backup is of the fleet {header.fleet_id}, these settings are of "
            f"{settings.server.fleet_id}",
            code="other-fleet",
            subject=str(settings.path),
            remedy="restore it with a --config and a state folder of its own",
        )


async def _read(places: Places, database: Database, settings: Settings, source: Source) -> Header:
    taker = Stage(places, database, settings)
    try:
        header, _ = await Reading(taker).run(source)
    except OSError as error:
        raise_for(error, places.home)
    finally:
        taker.close()
    return header


async def _renew(database: Database, settings: Settings, header: Header, clock: Clock) -> None:
    """Make indexes, begin an epoch, and write the restore into the ledger."""
    stores = await prepare_stores(database, settings.server.fleet_id)
    epoch = await stores.meta.begin_epoch()
    now = clock()
    made, notes = from_iso(header.created_time), BackupNotes(database)
    await notes.note(made)
    await notes.note_restored(Restored(made, now))
    details = {
        "backup_id": header.backup_id,
        "backup_time": header.created_time,
        "backup_ledger_row": header.ledger_number,
        "epoch": epoch,
    }
    await Ledger(stores.ledger, clock).append("console", "server.restore", "", details)


@asynccontextmanager
async def _database(places: Places, settings: Settings) -> AsyncIterator[Database]:
    """Open the site's database, or a new one of our own among the staged files."""
    if not settings.database.embedded:
        async with await open_external(settings.database) as database:
            yield database
        return
    mongod = Mongod(places.files)
    uri = await mongod.start()
    try:
        async with await open_database(uri, settings.database.name) as database:
            yield database
    finally:
        await mongod.stop()
