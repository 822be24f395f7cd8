"""Read the audit trail, newest first."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from penguind.domain.escaping import unescape_value
from penguind.store.translation import database_errors

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Collection
    from datetime import datetime

    from penguind.store.database import Database, Document

_MAX_MILLISECONDS = 20_000
# The last character there is: a range up to it holds every key with the prefix.
_LAST = "\U0010ffff"


@dataclass(frozen=True, slots=True)
class TrailEntry:
    """One change in a device's data.

    `key` is the dotted path as it is stored, with escaped parts. `old` is None for an addition,
    `new` for a deletion; `type` tells that apart from a null.
    """

    entry_id: str
    device_id: str
    hostname: str
    received_time: datetime
    collected_time: datetime
    type: str
    key: str
    old: Any = None
    new: Any = None


class TrailQueries:
    """Finds entries of the audit trail."""

    def __init__(self, database: Database) -> None:
        self._entries = database.db["trail"]

    async def newest(
        self,
        *,
        device_ids: Collection[str] | None,
        key_prefix: str,
        since: datetime | None,
        limit: int,
    ) -> AsyncIterator[TrailEntry]:
        """Yield entries, newest first.

        Args:
            device_ids: Only of these devices; None means all, also those deleted by now.
            key_prefix: Only keys that start with it.
            since: Only those received at or after it.
            limit: At most so many.

        Raises:
            Unavailable: The database is away, or the search takes too long.
        """
        query: dict[str, Any] = {}
        if device_ids is not None:
            query["device_id"] = {"$in": sorted(device_ids)}
        if key_prefix:
            query["key"] = {"$gte": key_prefix, "$lt": key_prefix + _LAST}
        if since is not None:
            query["received_time"] = {"$gte": since}
        with database_errors():
            cursor = self._entries.find(query, max_time_ms=_MAX_MILLISECONDS, batch_size=100)
            async with cursor.sort([("received_time", -1), ("_id", -1)]).limit(limit) as found:
                async for document in found:
                    yield _entry(document)


def _entry(found: Document) -> TrailEntry:
    return TrailEntry(
        entry_id=found["_id"],
        device_id=found["device_id"],
        hostname=found["hostname"],
        received_time=found["received_time"],
        collected_time=found["collected_time"],
        type=found["type"],
        key=found["key"],
        old=unescape_value(found.get("old")),
        new=unescape_value(found.get("new")),
    )
