"""Hand recordings in while they grow, and what an earlier run left."""

from __future__ import annotations

import asyncio
import contextlib
import time
from typing import TYPE_CHECKING, Protocol

from logbook import Logger

from penguin_agent.shell.pieces import PieceFolder
from penguindome.errors import Damaged, InvalidInput, PenguinDomeError, Unavailable
from penguindome.ids import is_ulid
from penguindome.shell.transcript import read_checkpoint

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable
    from pathlib import Path

    from penguin_agent.backoff import Backoff
    from penguindome.shell.transcript import Piece

log = Logger(__name__)

LOOK_SECONDS = 30.0
# What a session shows comes before its recording, which takes a share of the time while it goes on.
REST_SHARE = 7
LONGEST_REST_SECONDS = 0.5


class Wire(Protocol):
    """Takes pieces to the server."""

    async def submit_piece(self, order_id: str, number: int, piece: Piece) -> bool:
        """Hand in a piece; False when the server has no use for this recording."""


class Uploads:
    """Hands in pieces, a session's in order, one at a time.

    Args:
        directory: where sessions' folders are.
        wire: takes pieces to the server; raises Unavailable while there is no connection.
        backoff: pauses after failures.
        rest: pauses between a session's pieces.
    """

    def __init__(
        self,
        directory: Path,
        wire: Wire,
        backoff: Backoff,
        rest: Callable[[float], Awaitable[None]] = asyncio.sleep,
    ) -> None:
        self._directory = directory
        self._wire = wire
        self._backoff = backoff
        self._rest = rest
        self._open: dict[str, PieceFolder] = {}
        self._left: set[str] = set()
        self._wake = asyncio.Event()

    def folder(self, order_id: str) -> PieceFolder:
        """Return a new session's folder."""
        made = PieceFolder(self._directory / order_id)
        made.fresh = self._wake
        self._open[order_id] = made
        return made

    async def run(self) -> None:
        """Hand in for ever."""
        self._find()
        while True:
            self._wake.clear()
            for order_id, folder in list(self._open.items()):
                try:
                    await self._hand_in(order_id, folder)
                except (PenguinDomeError, OSError) as error:
                    if not isinstance(error, Unavailable):
                        log.warning("A recording is not handed in yet: {}", error)
                    await asyncio.sleep(self._backoff.next_seconds())
                    self._wake.set()
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(LOOK_SECONDS):
                    await self._wake.wait()

    def _find(self) -> None:
        """Find what an earlier run left."""
        if not self._directory.is_dir():
            return
        for path in sorted(self._directory.iterdir()):
            if is_ulid(path.name) and path.name not in self._open:
                self.folder(path.name)
                self._left.add(path.name)

    async def _hand_in(self, order_id: str, folder: PieceFolder) -> None:
        for number in folder.numbers():
            try:
                piece = folder.read(number)
                began = time.monotonic()
                wanted = await self._wire.submit_piece(order_id, number, piece)
            except (Damaged, InvalidInput) as error:
                # The others show that it is missing.
                log.error("A piece of a recording is left out: {}", error)  # noqa: TRY400 -- no bug
                folder.set_aside(number)
                continue
            self._backoff.reset()
            if not wanted or read_checkpoint(piece.checkpoint).final:
                self._forget(order_id, folder)
                return
            folder.drop(number)
            if not folder.is_pressing and order_id not in self._left:
                took = time.monotonic() - began
                await self._rest(min(REST_SHARE * took, LONGEST_REST_SECONDS))
        if order_id in self._left:
            # Its end was never written: the agent was killed.
            self._forget(order_id, folder)

    def _forget(self, order_id: str, folder: PieceFolder) -> None:
        del self._open[order_id]
        folder.remove()
