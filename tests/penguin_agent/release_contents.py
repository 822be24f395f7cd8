"""A server's contents in memory, and what such a server can do wrong."""

from __future__ import annotations

import asyncio
from hashlib import sha256
from typing import TYPE_CHECKING, Any

from penguindome.errors import LimitExceeded, NotFound, Unavailable

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator

PIECE = 4096


class Contents:
    """A server's contents, and what it does wrong.

    Attributes:
        pieces: What is sent of a content instead of its bytes, by hash.
        cut: How many bytes go out before the connection is lost, one entry for each time.
        busy: After how many seconds to ask again, one entry for each time that it is asked in vain.
        asked: Order, hash and offset of every request.
    """

    def __init__(self) -> None:
        self.blobs: dict[str, bytes] = {}
        self.pieces: dict[str, Any] = {}
        self.cut: list[int] = []
        self.busy: list[int] = []
        self.asked: list[tuple[str, str, int]] = []

    def add(self, *data: bytes) -> None:
        self.blobs.update({sha256(each).hexdigest(): each for each in data})

    async def fetch(self, order_id: str, sha256: str, offset: int) -> AsyncGenerator[bytes, None]:
        self.asked.append((order_id, sha256, offset))
        if self.busy:
            raise LimitExceeded("too much", code="busy", retry_after_seconds=self.busy.pop(0))
        if sha256 in self.pieces:
            for piece in self.pieces[sha256]():
                yield piece
                await asyncio.sleep(0)
            return
        if sha256 not in self.blobs:
            raise NotFound("there is no such content", code="no-content")
        data = self.blobs[sha256][offset:]
        cut = self.cut.pop(0) if self.cut else len(data)
        for at in range(0, min(cut, len(data)), PIECE):
            yield data[at : min(at + PIECE, cut)]
        if cut < len(data):
            raise Unavailable("the connection was lost", code="unavailable")
