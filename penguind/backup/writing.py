"""Writing a backup: files first, then every collection as it was at one moment, then the seal."""

from __future__ import annotations

import asyncio
import secrets
import socket
from importlib.metadata import version
from typing import TYPE_CHECKING, Any

from penguind.backup.contents import Header, Totals
from penguind.backup.documents import count_documents
from penguind.backup.files import held_files, outside_files
from penguind.backup.frames import CHUNK_BYTES, FrameWriter, magic
from penguind.store.dump import open_snapshot
from penguindome.durable import raise_for
from penguindome.errors import NotFound, PreconditionFailed
from penguindome.times import to_iso

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from penguind.backup.contents import FileEntry
    from penguind.backup.frames import Sink
    from penguind.config import Settings
    from penguind.store.database import Database
    from penguind.store.dump import Snapshot
    from penguindome.times import Clock

    Progress = Callable[[str, int], None]


class BackupWriter:
    """Writes one backup; memory holds one batch of documents at a time.

    Args:
        settings: of the server.
        database: open, whether a server uses it or not.
        clock: the time.
        sink: gets the bytes, on a thread: it may be a pipe that makes its writer wait.
        progress: is told what is being written and how many bytes there are, now and then.
    """

    def __init__(
        self,
        settings: Settings,
        database: Database,
        clock: Clock,
        sink: Sink,
        progress: Progress = lambda _what, _size: None,
    ) -> None:
        self._settings = settings
        self._database = database
        self._clock = clock
        self._sink = sink
        self._progress = progress
        self._frames = FrameWriter()
        self._totals = Totals(0, 0, {})
        self._written = 0

    async def run(self) -> tuple[Header, Totals]:
        """Write everything; return what was written.

        Raises:
            PreconditionFailed: the database belongs to another fleet, or a file cannot be read.
            Unavailable: the database is away.
            LimitExceeded: the sink's disk is full.
        """
        async with open_snapshot(self._database) as snapshot:
            header = await self._header(snapshot)
            await self._send(magic())
            await self._frame("H", header.document())
            for entry, path in held_files(self._settings):
                await self._file(entry, path)
            for name in snapshot.names:
                await self._collection(snapshot, name)
        await self._frame("E", self._totals.document())
        return header, self._totals

    async def _header(self, snapshot: Snapshot) -> Header:
        row = await snapshot.newest("ledger") or {"_id": 0, "hash": b""}
        settings = self._settings
        return Header(
            backup_id=secrets.token_hex(16),
            fleet_id=settings.server.fleet_id,
            created_time=to_iso(self._clock()),
            version=version("penguindome"),
            host=socket.gethostname(),
            database=settings.database.name,
            state_dir=str(settings.server.state_dir),
            settings=str(settings.path),
            checks_directory=str(settings.checks_directory),
            ledger_number=int(row["_id"]),
            ledger_hash=bytes(row["hash"]).hex(),
            outside=outside_files(settings),
        )

    async def _file(self, entry: FileEntry, path: Path) -> None:
        try:
            with path.open("rb") as file:
                await self._frame("F", entry.document())
                while chunk := file.read(CHUNK_BYTES):
                    self._totals.file_bytes += len(chunk)
                    await self._frame("f", chunk)
        except OSError as error:
            _raise(error, path)
        self._totals.files += 1

    async def _collection(self, snapshot: Snapshot, name: str) -> None:
        await self._frame("C", {"name": name})
        self._totals.collections[name] = 0
        async for batch in snapshot.batches(name):
            await self._frame("d", batch)
            self._totals.collections[name] += count_documents(batch)
            self._progress(name, self._written)

    async def _frame(self, kind: str, payload: bytes | dict[str, Any]) -> None:
        await self._send(self._frames.frame(kind, payload))

    async def _send(self, data: bytes) -> None:
        await asyncio.to_thread(self._sink.write, data)
        self._written += len(data)


def _raise(error: OSError, path: Path) -> None:
    """Raise ours for a file of the server's; the sink's own errors name the sink."""
    if error.filename is None:
        raise error
    try:
        raise_for(error, path)
    except NotFound as missing:
        raise PreconditionFailed(
            "a file vanished while the backup was written", subject=str(path), remedy="try again"
        ) from missing
