"""Contents of releases: only visible whole and with the announced hash, read piece by piece."""

from __future__ import annotations

import asyncio
import hashlib
import os
from datetime import UTC, datetime, timedelta

import pytest

from penguind.store.blobs import PIECE_BYTES, BlobStore
from penguindome.errors import InvalidInput, NotFound, Unavailable
from tests.harness.database import fresh_database

NOW = datetime(2026, 11, 25, 12, tzinfo=UTC)
SIZES = (0, 1, PIECE_BYTES, PIECE_BYTES + 1, 3 * PIECE_BYTES)


@pytest.fixture
def run(mongo_uri):
    def run_story(story):
        async def main():
            async with fresh_database(mongo_uri) as database, asyncio.timeout(60):
                store = BlobStore(database)
                await store.prepare()
                await story(store, database.db)

        asyncio.run(main())

    return run_story


def digest_of(data):
    return hashlib.sha256(data).hexdigest()


async def stored(store, data, *, chunk=100_000):
    """Upload data in chunks of any size; returns the hash."""
    upload = await store.begin(digest_of(data), len(data), NOW)
    for start in range(0, len(data), chunk):
        await upload.add(data[start : start + chunk])
    await upload.finish(NOW)
    return digest_of(data)


async def read(store, digest, offset=0):
    return [piece async for piece in store.pieces(digest, offset)]


def test_what_was_stored_comes_back_from_any_offset_in_bounded_pieces(run):
    async def story(store, db):
        for size in SIZES:
            data = os.urandom(size)
            digest = await stored(store, data)
            assert await store.size_bytes(digest) == size
            for offset in {0, 1, size // 2, max(size - 1, 0), size} - {s for s in (1,) if size < 1}:
                pieces = await read(store, digest, offset)
                assert b"".join(pieces) == data[offset:]
                assert all(0 < len(piece) <= PIECE_BYTES for piece in pieces)
        with pytest.raises(InvalidInput, match="bytes only"):
            await read(store, digest, SIZES[-1] + 1)
        assert await db["blob_uploads"].count_documents({}) == 0

    run(story)


def test_nothing_is_there_before_all_of_it_is(run):
    async def story(store, db):
        data = os.urandom(PIECE_BYTES + 7)
        upload = await store.begin(digest_of(data), len(data), NOW)
        await upload.add(data[:-1])
        assert await store.missing([digest_of(data)]) == [digest_of(data)]
        with pytest.raises(NotFound):
            await read(store, digest_of(data))
        with pytest.raises(InvalidInput, match="of 262151 bytes came"):
            await upload.finish(NOW)
        await upload.add(data[-1:])
        await upload.finish(NOW)
        assert await store.missing([digest_of(data), "0" * 64]) == ["0" * 64]

    run(story)


def test_what_is_not_as_announced_leaves_nothing_behind(run):
    async def story(store, db):
        data = os.urandom(2 * PIECE_BYTES)
        upload = await store.begin(digest_of(b"other"), len(data), NOW)
        await upload.add(data)
        with pytest.raises(InvalidInput, match="its hash is another"):
            await upload.finish(NOW)
        await upload.abandon()
        upload = await store.begin(digest_of(data), 10, NOW)
        with pytest.raises(InvalidInput, match="more than the announced 10"):
            await upload.add(data)
        await upload.abandon()
        for name in ("blobs", "blob_pieces", "blob_uploads"):
            assert await db[name].count_documents({}) == 0

    run(story)


def test_the_same_content_twice_at_once_is_stored_once(run):
    async def story(store, db):
        data = os.urandom(PIECE_BYTES + 1)
        await asyncio.gather(*(stored(store, data) for _ in range(5)))
        assert b"".join(await read(store, digest_of(data))) == data
        assert await db["blob_pieces"].count_documents({}) == 2
        assert await db["blob_uploads"].count_documents({}) == 0

    run(story)


def test_broken_uploads_are_swept_and_cannot_end_afterwards(run):
    async def story(store, db):
        kept = await stored(store, os.urandom(PIECE_BYTES + 1))
        data = os.urandom(PIECE_BYTES + 1)
        upload = await store.begin(digest_of(data), len(data), NOW)
        await upload.add(data)
        assert await store.sweep(NOW) == 0
        assert await store.sweep(NOW + timedelta(seconds=1)) == 1
        with pytest.raises(Unavailable, match="took too long"):
            await upload.finish(NOW)
        assert len(await read(store, kept)) == 2
        assert await store.missing([digest_of(data)]) == [digest_of(data)]

    run(story)


def test_memory_holds_one_piece_of_an_upload_however_it_is_cut(run):
    async def story(store, db):
        data = os.urandom(4 * PIECE_BYTES + 5)
        digest = await stored(store, data, chunk=PIECE_BYTES * 3 + 1)
        sizes = [len(piece) for piece in await read(store, digest)]
        assert sizes == [PIECE_BYTES] * 4 + [5]

    run(story)
