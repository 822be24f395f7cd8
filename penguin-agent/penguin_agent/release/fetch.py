"""Fetch contents by their hash, going on where a lost connection left off.

Trust: the server may send anything for ever. Nothing beyond the signed length is taken, and
nothing whose hash differs is kept.
"""

from __future__ import annotations

import asyncio
from contextlib import aclosing
from typing import TYPE_CHECKING, Protocol

from logbook import Logger

from penguin_agent.release.blobs import wrong_content
from penguindome.errors import LimitExceeded, Unavailable

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Callable, Iterable
    from datetime import datetime

    from penguin_agent.backoff import Backoff
    from penguin_agent.release.blobs import Blobs, Part
    from penguin_agent.release.tree import TreeFile
    from penguindome.orders.manifest import FileEntry

log = Logger(__name__)

PARALLEL = 2
NOT_CONNECTED = "not-connected"
# Streams in a row that brought nothing though there was a connection.
BARREN_LIMIT = 30
# A stream that brings nothing for so long is given up, and asked again.
STALL_SECONDS = 60.0
# A server that has too much to do says for how long; it is believed up to this.
_LONGEST_PAUSE_SECONDS = 300.0
# Beyond what is needed: a device whose disk is full has worse troubles than an old release.
RESERVE_BYTES = 32 * 1024 * 1024


class BlobSource(Protocol):
    """Where contents come from."""

    def fetch(self, order_id: str, sha256: str, offset: int) -> AsyncGenerator[bytes, None]:
        """Yield a content that an order names, from an offset on.

        Raises:
            Unavailable: The connection was lost, or there is none (NOT_CONNECTED): try again.
            LimitExceeded: The server has too much to do: try again.
            PenguinDomeError: The server refuses.
        """


class Fetcher:
    """Fetches what is missing.

    Args:
        blobs: Where contents are kept.
        source: Where they come from.
        backoff: Makes the pauses of one fetch.
        now: The device's clock.
        stall_seconds: How long a stream may be silent.
    """

    def __init__(
        self,
        blobs: Blobs,
        source: BlobSource,
        *,
        backoff: Callable[[], Backoff],
        now: Callable[[], datetime],
        stall_seconds: float = STALL_SECONDS,
    ) -> None:
        self._blobs = blobs
        self._source = source
        self._backoff = backoff
        self._now = now
        self._stall_seconds = stall_seconds

    async def fetch_all(self, files: Iterable[TreeFile], until: datetime) -> None:
        """Fetch contents, a few at a time; returns when all are on the disk.

        Args:
            files: Each content once, with the order that names it.
            until: When to give up, by the device's clock.

        Raises:
            LimitExceeded: The disk is full.
            Damaged: `wrong-content`: the server's bytes are not those that were signed.
            PenguinDomeError: The server refuses, or could not be reached in time.
        """
        wanted = list(files)
        lacking = (one.entry.size - self._blobs.part_size(one.entry) for one in wanted)
        self._check_space(sum(lacking))
        slots = asyncio.Semaphore(PARALLEL)

        async def fetch(one: TreeFile) -> None:
            async with slots:
                await self._fetch(one.origin, one.entry, until)

        try:
            async with asyncio.TaskGroup() as group:
                for one in wanted:
                    group.create_task(fetch(one), name=f"fetch {one.entry.path}")
        except ExceptionGroup as errors:
            raise errors.exceptions[0] from None

    def _check_space(self, size_bytes: int) -> None:
        if size_bytes + RESERVE_BYTES > self._blobs.free_bytes():
            raise LimitExceeded(
                f"disk full: {size_bytes} bytes are to be fetched; nothing was changed",
                code="disk-full",
                remedy="Free some space on this file system",
            )

    async def _fetch(self, order_id: str, entry: FileEntry, until: datetime) -> None:
        backoff = self._backoff()
        barren = 0
        while True:
            size = self._blobs.part_size(entry)
            try:
                await self._take(order_id, entry)
            except Unavailable as error:
                if self._blobs.part_size(entry) > size:
                    backoff.reset()
                    barren = 0
                elif error.code != NOT_CONNECTED:
                    barren += 1
                if self._now() >= until or barren >= BARREN_LIMIT:
                    raise
                log.info("{} of order {} is fetched again: {}", entry.path, order_id, error)
                asked = min(float(error.retry_after_seconds), _LONGEST_PAUSE_SECONDS)
                await asyncio.sleep(max(backoff.next_seconds(), asked))
            else:
                return

    async def _take(self, order_id: str, entry: FileEntry) -> None:
        """Take what one stream brings, after what earlier ones brought."""
        offset = self._blobs.part_size(entry)
        with self._blobs.part(entry, offset) as part:
            if part.size < entry.size:
                await self._receive(order_id, entry, part)
            digest, size = part.digest(), part.size
        if size < entry.size:
            raise Unavailable("the stream ended early", code="hung-up", subject=entry.path)
        if size > entry.size or digest != entry.sha256:
            self._blobs.forget_part(entry)
            if offset:
                # What was there before may be what is wrong.
                raise Unavailable("a part was damaged", code="damaged-part", subject=entry.path)
            raise wrong_content(entry)
        await asyncio.to_thread(self._blobs.complete, entry)

    async def _receive(self, order_id: str, entry: FileEntry, part: Part) -> None:
        loop = asyncio.get_running_loop()
        stream = self._pieces(order_id, entry.sha256, part.size)
        try:
            async with asyncio.timeout(self._stall_seconds) as limit, aclosing(stream):
                async for data in stream:
                    if part.size + len(data) > entry.size:
                        self._blobs.forget_part(entry)
                        raise wrong_content(entry)
                    if data:
                        part.write(data)
                        limit.reschedule(loop.time() + self._stall_seconds)
        except TimeoutError:
            raise Unavailable("the stream brings nothing", code="timeout") from None

    async def _pieces(self, order_id: str, digest: str, offset: int) -> AsyncGenerator[bytes, None]:
        """Yield what the server sends; its limits pass, unlike those of our own disk."""
        try:
            async with aclosing(self._source.fetch(order_id, digest, offset)) as stream:
                async for data in stream:
                    yield data
        except LimitExceeded as error:
            raise Unavailable(
                error.reason,
                code=error.code,
                retry_after_seconds=error.retry_after_seconds,
            ) from None
