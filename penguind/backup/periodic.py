"""Periodic backups: one each interval into a directory, of which the newest are kept."""

from __future__ import annotations

import asyncio
import re
from typing import TYPE_CHECKING

from penguind.backup.making import save_backup
from penguind.backup.output import UNFINISHED
from penguind.workers import keep_on
from penguindome.durable import raise_for, remove_file
from penguindome.logs import logger

if TYPE_CHECKING:
    from datetime import datetime
    from pathlib import Path
    from typing import NoReturn

    from penguind.config import Settings
    from penguind.store.database import Database
    from penguindome.times import Clock

log = logger("penguind.backup")

_LOOK_SECONDS = 30.0
_AGAIN_SECONDS = 300.0
_NAME = re.compile(r"penguind-(\d{8}T\d{6}Z)\.(backup|backup\.gpg)")


class PeriodicBackups:
    """Writes backups while the server runs; its `run` has to run.

    Without a directory in the settings it does nothing.
    """

    def __init__(self, settings: Settings, database: Database, clock: Clock) -> None:
        self._settings = settings
        self._database = database
        self._clock = clock
        self._problem = ""
        self._unreadable = ""

    async def run(self) -> NoReturn:
        """Work until cancelled."""
        await keep_on("periodic backups", self._turn, pause_seconds=_AGAIN_SECONDS)

    def problems(self) -> list[str]:
        """Return why the last attempt failed, if it did."""
        return [text for text in (self._problem, self._unreadable) if text]

    async def _turn(self) -> None:
        if self._settings.backup.directory is not None and self.due():
            await self.make()
        await asyncio.sleep(_LOOK_SECONDS)

    def due(self) -> bool:
        """Tell whether the newest backup in the directory is older than the interval."""
        names = self._names()
        stamp = self._stamp(self._clock() - self._settings.backup.interval)
        return not names or names[-1].name < f"penguind-{stamp}"

    async def make(self) -> Path:
        """Write one backup and remove the oldest ones.

        Raises:
            PenguinDomeError: why not; it is a problem of the server's until one succeeds.
        """
        backup, now = self._settings.backup, self._clock()
        end = "backup.gpg" if backup.encrypt_to else "backup"
        path = self._directory() / f"penguind-{self._stamp(now)}.{end}"
        self._problem = f"The last periodic backup to {path.parent} failed; see the log."
        self._remove_unfinished()
        await save_backup(self._settings, self._database, self._clock, path, keys=backup.encrypt_to)
        self._problem = ""
        old = self._names()[: -backup.keep]
        for one in old:
            remove_file(one)
        log.info("A backup was written to {}; {} older ones were removed", path, len(old))
        return path

    def _names(self) -> list[Path]:
        """Return the backups that are whole, oldest first."""
        directory = self._directory()
        try:
            names = sorted(path for path in directory.iterdir() if _NAME.fullmatch(path.name))
        except OSError as error:
            self._unreadable = f"The directory of backups, {directory}, cannot be read."
            raise_for(error, directory)
        self._unreadable = ""
        return names

    def _remove_unfinished(self) -> None:
        for path in self._directory().glob(f".penguind-*{UNFINISHED}"):
            remove_file(path)

    def _directory(self) -> Path:
        if self._settings.backup.directory is None:
            raise RuntimeError("no directory is set")
        return self._settings.backup.directory

    @staticmethod
    def _stamp(moment: datetime) -> str:
        return f"{moment:%Y%m%dT%H%M%SZ}"
