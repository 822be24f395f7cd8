"""All collections as they are at one moment, as BSON; and an empty database filled from that.

A database that is being filled carries a mark, so that no server serves from it and a further
attempt knows that everything in it may be thrown away.
"""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any, cast

from bson.raw_bson import RawBSONDocument
from pymongo.errors import OperationFailure

from penguind.store.translation import database_errors
from penguindome.errors import PreconditionFailed, Unavailable

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterable, Mapping, Sequence

    from penguind.store.database import Database, Session

#: What collections are called that a restore moved out of the way.
ASIDE = "before_restore_"
_BATCH = 1000
_META, _MARK = "meta", "restoring"
# SnapshotUnavailable, SnapshotTooOld; src/mongo/base/error_codes.yml.
_UNAVAILABLE, _TOO_OLD = 246, 239
_ATTEMPTS = 40
_PAUSE_SECONDS = 0.25


class Snapshot:
    """The database at one moment, while others go on writing."""

    def __init__(self, database: Database, session: Session, names: Sequence[str]) -> None:
        self._db = database.db
        self._session = session
        self.names = names

    async def batches(self, name: str) -> AsyncIterator[bytes]:
        """Yield a collection's documents, many at a time, one behind the other.

        Raises:
            Unavailable: the database is away, or no longer knows that moment.
        """
        with database_errors(), _snapshot_errors():
            cursor = self._db[name].find_raw_batches(
                {}, session=self._session, batch_size=_BATCH, sort=[("_id", 1)]
            )
            async for batch in cursor:
                # Typed as if it were a document.
                yield cast("bytes", batch)

    async def newest(self, name: str) -> Mapping[str, Any] | None:
        """Return the document with the greatest id."""
        with database_errors(), _snapshot_errors():
            return await self._db[name].find_one({}, sort=[("_id", -1)], session=self._session)


@asynccontextmanager
async def open_snapshot(database: Database) -> AsyncIterator[Snapshot]:
    """Fix a moment that all collections can be read at.

    Raises:
        Unavailable: collections or indexes are being made all the time, or the database is away.
    """
    for _ in range(_ATTEMPTS):
        names = await occupied(database)
        async with database.client.start_session(snapshot=True) as session:
            snapshot = Snapshot(database, session, names)
            if await _readable(snapshot):
                yield snapshot
                return
        await asyncio.sleep(_PAUSE_SECONDS)
    raise _lost("the database's collections are being changed")


async def occupied(database: Database) -> list[str]:
    """Return the collections' names, sorted, without what a restore moved aside."""
    with database_errors():
        found = await database.db.list_collection_names(filter={"type": "collection"})
    return sorted(one for one in found if not one.startswith(("system.", ASIDE)))


async def is_marked(database: Database) -> bool:
    """Tell whether a restore was begun here and has not ended."""
    with database_errors():
        return await database.db[_META].find_one({"_id": _MARK}) is not None


async def mark(database: Database) -> None:
    """Begin to fill a database: what an interrupted attempt left is dropped.

    Raises:
        PreconditionFailed: it holds something that no restore has put there.
    """
    names = await occupied(database)
    if names and not await is_marked(database):
        raise PreconditionFailed(
            f"the database {database.db.name} is not empty: it holds {', '.join(names[:8])}",
            code="not-empty",
            subject="database",
            remedy="name an empty one in database.name, or move what is there aside with --replace",
        )
    with database_errors():
        await database.db[_META].update_one(
            {"_id": _MARK}, {"$setOnInsert": {"marked": True}}, upsert=True
        )
        for name in names:
            if name != _META:
                await database.db.drop_collection(name)
        await database.db[_META].delete_many({"_id": {"$ne": _MARK}})


async def clear(database: Database) -> None:
    """Drop what was filled so far; the mark goes last, so that a death on the way is no harm."""
    await mark(database)
    with database_errors():
        await database.db.drop_collection(_META)


async def unmark(database: Database) -> None:
    """End filling: a server may use the database now."""
    with database_errors():
        await database.db[_META].delete_one({"_id": _MARK})


async def move_aside(database: Database, suffix: str) -> list[str]:
    """Give all collections other names, in the same database; return the new ones."""
    moved = []
    for name in await occupied(database):
        with database_errors():
            await database.db[name].rename(f"{ASIDE}{suffix}.{name}")
        moved.append(f"{ASIDE}{suffix}.{name}")
    return moved


async def fill(database: Database, name: str, documents: Iterable[bytes]) -> None:
    """Add documents to a collection; the mark itself is never brought back from a backup."""
    batch = [RawBSONDocument(one) for one in documents]
    wanted: list[Any] = [one for one in batch if name != _META or one.get("_id") != _MARK]
    if wanted:
        with database_errors():
            await database.db[name].insert_many(wanted)


async def _readable(snapshot: Snapshot) -> bool:
    """Tell whether each collection existed, with its indexes, at the session's moment."""
    try:
        for name in snapshot.names:
            await snapshot.newest(name)
    except Unavailable:
        return False
    return True


class _snapshot_errors:  # noqa: N801 -- reads as a context manager
    """Say in our words that the moment is gone."""

    def __enter__(self) -> None:
        """Begin."""

    def __exit__(self, _: object, error: BaseException | None, __: object) -> None:
        """Raise ours instead of the driver's."""
        if isinstance(error, OperationFailure) and error.code in (_UNAVAILABLE, _TOO_OLD):
            raise _lost("the database no longer knows the moment of the backup") from error


def _lost(reason: str) -> Unavailable:
    return Unavailable(
        reason,
        code="snapshot-lost",
        subject="database",
        remedy="try again; where reading takes more than five minutes, raise MongoDB's "
        "minSnapshotHistoryWindowInSeconds",
    )
