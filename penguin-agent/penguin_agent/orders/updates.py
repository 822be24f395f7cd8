"""Hand in receipts and output until the server has them.

What is there goes at once, one call at a time; what a crash or a lost connection interrupts goes on
where it was acknowledged.
"""

from __future__ import annotations

import asyncio
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING

from logbook import Logger

from penguin_agent.failpoints import no_failpoint
from penguindome.errors import Forbidden, InvalidInput, PenguinDomeError, Unauthenticated
from penguindome.orders.receipts import read_receipt

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from penguin_agent.backoff import Backoff
    from penguin_agent.failpoints import Failpoint
    from penguin_agent.link import Link
    from penguin_agent.orders.outbox import Progressed, Stream, Waiting
    from penguin_agent.orders.output_files import OutputFiles
    from penguin_agent.orders.store import OrderStore

log = Logger(__name__)

CALL_BYTES = 1000 * 1024
PIECE_BYTES = 256 * 1024
ITEMS = 200
_ITEM_BYTES = 128
# Between two calls, so that a chatty program stays within what the server takes of one device; a
# few may follow one another quickly, so that the end of a short command is told at once.
_PAUSE_SECONDS = 0.25
_QUICK_SECONDS = 0.02
_QUICK_CALLS = 8
_EARNING_SECONDS = 2.0
_SLOW_SECONDS = 30.0
_LOOK_SECONDS = 1.0


@dataclass(frozen=True, slots=True)
class Piece:
    """A piece of a stream, from an offset on."""

    stream: Stream
    offset: int
    data: bytes


@dataclass(frozen=True, slots=True)
class Batch:
    """What one call hands in, and which streams it empties if the server takes it."""

    receipts: Sequence[Waiting] = ()
    pieces: Sequence[Piece] = ()

    @property
    def order_ids(self) -> set[str]:
        """Return the orders that it is about."""
        return {one.order_id for one in self.receipts} | {
            one.stream.order_id for one in self.pieces
        }

    def __len__(self) -> int:
        """Return how many items it has."""
        return len(self.receipts) + len(self.pieces)


class Pace:
    """Says how long to pause after a call; quick ones are earned by time."""

    def __init__(self) -> None:
        self._spare = float(_QUICK_CALLS)
        self._last = 0.0

    def after_call(self, now: float) -> float:
        """Return the pause in seconds.

        Args:
            now: As `time.monotonic` says.
        """
        earned = (now - self._last) / _EARNING_SECONDS
        self._spare = min(_QUICK_CALLS, self._spare + earned)
        self._last = now
        if self._spare < 1:
            return _PAUSE_SECONDS
        self._spare -= 1
        return _QUICK_SECONDS


class Updates:
    """Hands in through the link.

    Args:
        store: Has receipts and offsets.
        outputs: Have what was printed.
        link: The connection.
        backoff: Pauses after failures.
        delivered: Is called when the server has an order's last receipt.
        failpoint: For tests of crashes.
    """

    def __init__(
        self,
        store: OrderStore,
        outputs: OutputFiles,
        link: Link,
        *,
        backoff: Backoff,
        delivered: Callable[[str], None] = lambda _order_id: None,
        failpoint: Failpoint = no_failpoint,
    ) -> None:
        self._store = store
        self._outputs = outputs
        self._link = link
        self._backoff = backoff
        self._delivered = delivered
        self._failpoint = failpoint
        self._wanted = asyncio.Event()
        self._loop: asyncio.AbstractEventLoop | None = None
        self._items = ITEMS
        self._pace = Pace()

    def wake(self) -> None:
        """Say that something waits; from any thread."""
        if self._loop is not None and not self._wanted.is_set():
            self._loop.call_soon_threadsafe(self._wanted.set)

    async def run(self) -> None:
        """Hand in for ever."""
        self._loop = asyncio.get_running_loop()
        self._wanted.set()
        while True:
            await self._wanted.wait()
            await self._link.connected.wait()
            self._wanted.clear()
            if not self._store.file.is_open:
                continue  # whoever opens it wakes us
            try:
                pause = await self._hand_in()
            except PenguinDomeError as error:
                pause = self._failed(error)
            if pause:
                self._wanted.set()
                await self._rest(pause)

    async def _rest(self, seconds: float) -> None:
        """Wait; not longer than until the connection is lost, as the next one ends all pauses."""
        while seconds > 0 and self._link.connected.is_set():
            await asyncio.sleep(min(seconds, _LOOK_SECONDS))
            seconds -= _LOOK_SECONDS

    async def _hand_in(self) -> float:
        """Hand in one batch; returns the pause before the next, 0 when nothing waits."""
        batch = self._batch(self._store.outbox.streams())
        connection = self._link.connection
        if not batch:
            return 0.0
        if connection is None:
            return _PAUSE_SECONDS
        try:
            unknown = await connection.submit_order_updates(
                [one.sealed for one in batch.receipts], batch.pieces
            )
        except (InvalidInput, Forbidden) as error:
            if not _is_about_contents(error):
                raise
            self._narrow(batch, error)
            return _PAUSE_SECONDS
        self._failpoint("orders.handed-in")
        self._acknowledge(batch, unknown)
        self._failpoint("orders.acknowledged")
        self._items = ITEMS
        self._backoff.reset()
        return self._pace.after_call(time.monotonic())

    def _batch(self, streams: Sequence[Progressed]) -> Batch:
        receipts = self._store.outbox.unsent(CALL_BYTES, self._items)
        room = CALL_BYTES - sum(len(one.sealed.payload) + _ITEM_BYTES for one in receipts)
        pieces: list[Piece] = []
        offsets = {one.stream: one.acknowledged for one in streams}
        # A piece of each stream in turn, so that a chatty program does not silence the others.
        turns = list(offsets)
        while turns and room > _ITEM_BYTES and len(receipts) + len(pieces) < self._items:
            stream = turns.pop(0)
            offset = offsets[stream]
            count = min(PIECE_BYTES, room - _ITEM_BYTES)
            if data := self._outputs.read(stream, offset, count):
                pieces.append(Piece(stream, offset, data))
                offsets[stream] = offset + len(data)
                room -= len(data) + _ITEM_BYTES
                turns.append(stream)
        return Batch(receipts, pieces)

    def _acknowledge(self, batch: Batch, unknown: Sequence[str]) -> None:
        outbox = self._store.outbox
        # The server names what we asked about, or it is not listened to.
        gone = batch.order_ids & set(unknown)
        outbox.acknowledge(
            [one.sequence for one in batch.receipts],
            [(one.stream, one.offset + len(one.data)) for one in batch.pieces],
        )
        for one in batch.receipts:
            receipt = read_receipt(one.sealed.payload)
            if receipt.is_final and not receipt.part:
                self._delivered(one.order_id)
        if gone:
            log.warning("The server does not know {} orders any more", len(gone))
            outbox.unwanted(gone)
        self._drop_sent()

    def _drop_sent(self) -> None:
        """Remove the files of orders that ended and whose output the server has."""
        streams = self._store.outbox.streams()
        sent = [
            one.stream
            for one in streams
            if one.ended and one.acknowledged >= self._outputs.size(one.stream)
        ]
        if not sent:
            return
        self._store.outbox.drop_streams(sent)
        left = {one.stream.order_id for one in streams if one.stream not in sent}
        for order_id in {one.order_id for one in sent} - left:
            self._outputs.remove(order_id)

    def _narrow(self, batch: Batch, error: PenguinDomeError) -> None:
        """Find the one item that the server refuses for ever, and hand it in no more."""
        if len(batch) > 1:
            self._items = 1
            return
        log.error("The server refuses for ever what is said about an order: {}", error)
        self._store.outbox.acknowledge([one.sequence for one in batch.receipts], [])
        self._store.outbox.drop_streams([one.stream for one in batch.pieces])

    def _failed(self, error: PenguinDomeError) -> float:
        log.info("News of orders are not handed in yet: {}", error)
        if isinstance(error, Unauthenticated):
            self._link.reconnect(renew=True)
        slow = _SLOW_SECONDS if isinstance(error, Forbidden) else 0.0
        return max(slow, float(error.retry_after_seconds), self._backoff.next_seconds())


def _is_about_contents(error: PenguinDomeError) -> bool:
    return isinstance(error, InvalidInput) or error.code == "bad-receipt"
