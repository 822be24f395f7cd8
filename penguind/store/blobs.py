"""The contents of releases and patches, by their SHA-256, each in pieces of at most 256 KiB.

A content is there only once all of it is stored and its hash is the announced one: its pieces carry
an upload's id, which the content names at the end, in one transaction with the upload's own end.
Uploads that were broken off are swept with their pieces.
"""

from __future__ import annotations

import hashlib
from contextlib import suppress
from typing import TYPE_CHECKING, Any

from bson import Binary
from pymongo.errors import CollectionInvalid

from penguind.store.translation import translated
from penguindome.errors import InvalidInput, NotFound, Unavailable
from penguindome.ids import new_ulid

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Collection
    from datetime import datetime

    from penguind.store.database import Database, Session

PIECE_BYTES = 256 * 1024
_SECONDS = 30.0
_SWEPT_AT_ONCE = 100


class Upload:
    """One content on its way into the store; memory holds one piece of it at most.

    Made by `BlobStore.begin`; `add` every byte in order, then `finish`.
    """

    def __init__(self, store: BlobStore, upload_id: str, digest: str, size_bytes: int) -> None:
        self._store = store
        self._upload_id = upload_id
        self._digest = digest
        self._size_bytes = size_bytes
        self._hash = hashlib.sha256()
        self._seen_bytes = 0
        self._waiting = bytearray()
        self._pieces = 0

    async def add(self, data: bytes) -> None:
        """Take the next bytes.

        Raises:
            InvalidInput: they are more than was announced.
            Unavailable: the database is away.
        """
        self._seen_bytes += len(data)
        if self._seen_bytes > self._size_bytes:
            raise self._unlike(f"more than the announced {self._size_bytes} bytes came")
        self._hash.update(data)
        self._waiting += data
        while len(self._waiting) >= PIECE_BYTES:
            await self._put(bytes(self._waiting[:PIECE_BYTES]))
            del self._waiting[:PIECE_BYTES]

    async def finish(self, now: datetime) -> None:
        """Make the content visible.

        Raises:
            InvalidInput: its size or hash is not the announced one.
            Unavailable: the database is away, or it took so long that it was swept.
        """
        if self._seen_bytes != self._size_bytes:
            raise self._unlike(f"{self._seen_bytes} of {self._size_bytes} bytes came")
        if self._hash.hexdigest() != self._digest:
            raise self._unlike("its hash is another one")
        if self._waiting:
            await self._put(bytes(self._waiting))
        await self._store.finish(self._upload_id, self._digest, self._size_bytes, now)

    async def abandon(self) -> None:
        """Forget all of it, unless it is finished."""
        await self._store.abandon(self._upload_id)

    async def _put(self, data: bytes) -> None:
        await self._store.put(self._upload_id, self._pieces, data)
        self._pieces += 1

    def _unlike(self, reason: str) -> InvalidInput:
        return InvalidInput(
            f"the content is not what was announced: {reason}",
            code="wrong-content",
            subject=self._digest,
            remedy="send it again",
        )


@translated
class BlobStore:
    """Contents by SHA-256 in hexadecimal digits."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._blobs = database.db["blobs"]
        self._pieces = database.db["blob_pieces"]
        self._uploads = database.db["blob_uploads"]

    async def prepare(self) -> None:
        """Make the collections that a transaction writes, and the indexes."""
        for collection in (self._blobs, self._uploads):
            with suppress(CollectionInvalid):
                await collection.database.create_collection(collection.name)
        await self._uploads.create_index("begun_time")

    async def missing(self, digests: Collection[str]) -> list[str]:
        """Return those that are not here, sorted."""
        wanted = set(digests)
        query = {"_id": {"$in": sorted(wanted)}}
        async for found in self._blobs.find(query, {"_id": 1}):
            wanted.discard(found["_id"])
        return sorted(wanted)

    async def size_bytes(self, digest: str) -> int | None:
        """Return how long a content is; None if it is not here."""
        found = await self._blobs.find_one({"_id": digest}, {"size_bytes": 1})
        return None if found is None else int(found["size_bytes"])

    async def begin(self, digest: str, size_bytes: int, now: datetime) -> Upload:
        """Begin to store a content."""
        upload_id = new_ulid(now)
        await self._uploads.insert_one({"_id": upload_id, "begun_time": now, "swept": False})
        return Upload(self, upload_id, digest, size_bytes)

    async def put(self, upload_id: str, number: int, data: bytes) -> None:
        """Store one piece of an upload."""
        await self._pieces.insert_one({"_id": _piece_id(upload_id, number), "data": Binary(data)})

    async def finish(self, upload_id: str, digest: str, size_bytes: int, now: datetime) -> None:
        """Make an upload's content visible; one that is here already stays.

        Raises:
            Unavailable: the database is away, or the upload was swept meanwhile.
        """
        blob = {"_id": digest, "size_bytes": size_bytes, "upload": upload_id, "stored_time": now}

        async def work(session: Session) -> str:
            if await self._blobs.find_one({"_id": digest}, {"_id": 1}, session=session):
                return "known"
            query = {"_id": upload_id, "swept": False}
            ended = await self._uploads.delete_one(query, session=session)
            if not ended.deleted_count:
                return "swept"
            await self._blobs.insert_one(blob, session=session)
            return "stored"

        became = await self._database.transaction(work, seconds=_SECONDS)
        if became == "known":
            await self.abandon(upload_id)
        if became == "swept":
            raise Unavailable("the upload took too long", code="swept", retry_after_seconds=1)

    async def abandon(self, upload_id: str) -> None:
        """Forget an upload and its pieces, unless it is finished."""
        marked = await self._uploads.update_one({"_id": upload_id}, {"$set": {"swept": True}})
        if not marked.matched_count:
            return
        await self._pieces.delete_many(_pieces_of(upload_id))
        await self._uploads.delete_one({"_id": upload_id})

    async def sweep(self, before: datetime) -> int:
        """Forget uploads that began before a time and did not finish; returns how many."""
        cursor = self._uploads.find({"begun_time": {"$lt": before}}, {"_id": 1})
        old = [found["_id"] async for found in cursor.limit(_SWEPT_AT_ONCE)]
        for upload_id in old:
            await self.abandon(upload_id)
        return len(old)

    async def pieces(self, digest: str, offset: int = 0) -> AsyncGenerator[bytes, None]:
        """Yield a content from an offset on, piece by piece, each read when it is asked for.

        Raises:
            NotFound: it is not here.
            InvalidInput: it has not so many bytes.
        """
        blob = await self.whereabouts(digest)
        if offset > blob["size_bytes"]:
            raise InvalidInput(
                f"the content has {blob['size_bytes']} bytes only", subject=str(offset)
            )
        if offset == blob["size_bytes"]:
            return
        first, skipped = divmod(offset, PIECE_BYTES)
        for number in range(first, -(-blob["size_bytes"] // PIECE_BYTES)):
            data = await self.piece(blob["upload"], number)
            yield data[skipped:]
            skipped = 0

    async def whereabouts(self, digest: str) -> dict[str, Any]:
        """Return what is kept of a content beside its pieces.

        Raises:
            NotFound: it is not here.
        """
        found = await self._blobs.find_one({"_id": digest})
        if found is None:
            raise NotFound("the server does not hold this content", code="no-blob", subject=digest)
        return found

    async def piece(self, upload_id: str, number: int) -> bytes:
        """Return one piece."""
        found = await self._pieces.find_one({"_id": _piece_id(upload_id, number)})
        if found is None:
            raise NotFound("a piece of this content is lost", code="no-blob", subject=upload_id)
        return bytes(found["data"])


def _piece_id(upload_id: str, number: int) -> str:
    return f"{upload_id}/{number:06}"


def _pieces_of(upload_id: str) -> dict[str, Any]:
    # A range, so that the index on `_id` serves; "0" follows "/".
    return {"_id": {"$gte": f"{upload_id}/", "$lt": f"{upload_id}0"}}
