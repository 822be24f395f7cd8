"""What the database knows of backups: when one was made, and from which it was restored."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from penguind.store.translation import translated

if TYPE_CHECKING:
    from datetime import datetime

    from penguind.store.database import Database

_MADE, _RESTORED = "backup", "restored"


@dataclass(frozen=True, slots=True)
class Restored:
    """When the backup was made that this database came from, and when it was restored."""

    backup_time: datetime
    restored_time: datetime


@translated
class BackupNotes:
    """Two documents beside the one that binds the database to a fleet."""

    def __init__(self, database: Database) -> None:
        self._meta = database.db["meta"]

    async def note(self, now: datetime) -> None:
        """Note that a backup was made."""
        await self._meta.update_one({"_id": _MADE}, {"$set": {"time": now}}, upsert=True)

    async def made_time(self) -> datetime | None:
        """Return when the last backup was made."""
        found = await self._meta.find_one({"_id": _MADE})
        return None if found is None else found["time"]

    async def note_restored(self, facts: Restored) -> None:
        """Note that the database is what a backup held."""
        values = {"backup_time": facts.backup_time, "restored_time": facts.restored_time}
        await self._meta.update_one({"_id": _RESTORED}, {"$set": values}, upsert=True)

    async def restored(self) -> Restored | None:
        """Return when the database was restored, None if it never was."""
        found = await self._meta.find_one({"_id": _RESTORED})
        return None if found is None else Restored(found["backup_time"], found["restored_time"])
