"""The audit trail: what changed in devices' data, append-only."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from pymongo import ASCENDING, DESCENDING

from penguind.domain.diff import ChangeType
from penguind.store.translation import translated

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from datetime import datetime

    from penguind.domain.diff import Change
    from penguind.store.database import Database, Document, Session


@translated
class TrailStore:
    """Entries `{_id, device_id, hostname, received_time, collected_time, type, key, old?, new?}`.

    Keys inside `key`, `old` and `new` are escaped (see `penguind.domain.escaping`).
    """

    def __init__(self, database: Database) -> None:
        self._entries = database.db["trail"]

    async def prepare(self) -> None:
        """Create the indexes: newest first, of all devices or of one."""
        await self._entries.create_index([("received_time", DESCENDING), ("_id", DESCENDING)])
        await self._entries.create_index(
            [("device_id", ASCENDING), ("received_time", DESCENDING), ("_id", DESCENDING)]
        )

    async def append(self, entries: Sequence[Document], *, session: Session | None = None) -> None:
        """Add entries made by `trail_entries`; repeating an id is refused by the database."""
        if entries:
            await self._entries.insert_many(entries, ordered=True, session=session)


def trail_entries(
    report_id: str,
    changes: Sequence[Change],
    *,
    device_id: str,
    hostname: str,
    received_time: datetime,
    collected_time: datetime,
) -> Iterator[Document]:
    """Yield the entries of one report; their ids follow from the report's, in order."""
    for number, change in enumerate(changes):
        entry: dict[str, Any] = {
            "_id": f"{report_id}/{number:05d}",
            "device_id": device_id,
            "hostname": hostname,
            "received_time": received_time,
            "collected_time": collected_time,
            "type": str(change.type),
            "key": change.key,
        }
        if change.type is not ChangeType.ADD:
            entry["old"] = change.old
        if change.type is not ChangeType.DELETE:
            entry["new"] = change.new
        yield entry
