"""Take in what devices say of their orders: signed receipts, and what programs printed.

Trust: the caller is known by its certificate; a receipt counts only if the recorded key of the same
device signed it, and only for an order that this device has a target of. What was printed is the
device's word without a signature; how much of it is kept, the order says.

1. Receipts are verified before anything is looked up or stored: a call with a bad one changes
   nothing.
2. What ended is written into the ledger before it is stored, so that no end goes without a row.
3. The call returns when all is on the disks of a majority.
"""

from __future__ import annotations

import asyncio
import hashlib
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING
from weakref import WeakValueDictionary

from penguind.domain.order import kept_piece
from penguind.domain.order_making import part_of
from penguind.rates import RateLimits
from penguindome.errors import Forbidden, InvalidInput
from penguindome.ids import is_ulid
from penguindome.orders.receipts import RECEIPT_LIMIT_BYTES, Receipt, SealedReceipt, open_receipt

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Sequence
    from datetime import datetime

    from penguind.domain.order import Target
    from penguind.identity.identities import Identities
    from penguind.ledger import Ledger
    from penguind.orders.delivery import Delivery
    from penguind.orders.hub import Hub
    from penguind.orders.upkeep import OrderUpkeep
    from penguind.rates import ReportRates
    from penguind.store.order_output import OrderOutputStore, Piece
    from penguind.store.order_targets import OrderTargetStore
    from penguind.store.orders import OrderStore
    from penguindome.times import Clock

#: Of each device: a call a second for minutes, and the longest output of many commands a day.
RATES = RateLimits(reports_per_minute=300, report_burst=600, report_bytes_per_day=4 << 30)
CALL_LIMIT_BYTES = 1024 * 1024 + 64 * 1024
PIECE_LIMIT_BYTES = 256 * 1024
ITEMS_LIMIT = 1000
STREAMS = ("stdout", "stderr")
_PART_CHARACTERS = 256
_SIGNATURE_BYTES = 256

Word = tuple[Receipt, SealedReceipt]


@dataclass(slots=True)
class _News:
    """What one call changes: targets as they are and will be, by key, and what goes with it."""

    targets: dict[str, Target]
    heard: dict[str, Target] = field(default_factory=dict)
    ends: list[tuple[Target, bytes]] = field(default_factory=list)
    pieces: list[Piece] = field(default_factory=list)
    cut: set[str] = field(default_factory=set)

    def hear(self, receipt: Receipt, sealed: SealedReceipt, now: datetime) -> None:
        """Take a receipt in."""
        key = f"{receipt.order_id}/{receipt.device_id}/{receipt.part}"
        former = self.targets.get(key)
        after = former and former.after(receipt, sealed, now)
        if after is None:
            return
        self.targets[key] = self.heard[key] = after
        if after.is_final:
            self.ends.append((after, sealed.payload))

    def print(self, piece: Piece) -> None:
        """Take a piece of output in, as far as it is new and within the limit."""
        target = self.targets.get(piece.key)
        if target is None:
            return
        limit = target.output_limit_bytes
        begin, data = kept_piece(
            piece.offset, piece.data, held=target.held(piece.stream), limit=limit
        )
        if piece.offset + len(piece.data) > limit:
            self.cut.add(piece.key)
        if data:
            self.pieces.append(replace(piece, offset=begin, data=data))
            self.targets[piece.key] = target.holding(piece.stream, begin + len(data))

    def held(self) -> dict[str, dict[str, int]]:
        """Return how many bytes of each stream are held now, by key and field."""
        return {
            one.key: {f"{stream}_bytes": self.targets[one.key].held(stream) for stream in STREAMS}
            for one in self.pieces
        }


class Updates:
    """Stores receipts and output.

    Args:
        fleet: this fleet's id.
        identities: have devices' keys.
        rates: how much a device may hand in.
        orders: know releases' parts.
        targets: what became of orders.
        output: what programs printed.
        ledger: gets a row for each end.
        hub: wakes watchers.
        delivery: sends what waits behind an answered order.
        upkeep: notes which orders ended, and tells releases.
        clock: tells the time.
    """

    def __init__(
        self,
        *,
        fleet: str,
        identities: Identities,
        rates: ReportRates,
        orders: OrderStore,
        targets: OrderTargetStore,
        output: OrderOutputStore,
        ledger: Ledger,
        hub: Hub,
        delivery: Delivery,
        upkeep: OrderUpkeep,
        clock: Clock,
    ) -> None:
        self._fleet = fleet
        self._identities = identities
        self._rates = rates
        self._orders = orders
        self._targets = targets
        self._output = output
        self._ledger = ledger
        self._hub = hub
        self._delivery = delivery
        self._upkeep = upkeep
        self._clock = clock
        self._turns: WeakValueDictionary[str, asyncio.Lock] = WeakValueDictionary()

    async def submit(
        self,
        device_id: str,
        receipts: Sequence[SealedReceipt],
        pieces: Sequence[Piece],
        size_bytes: int,
    ) -> list[str]:
        """Store what a device hands in; returns ids of orders that are not known, or not its own.

        Raises:
            Forbidden: a receipt is not this device's.
            InvalidInput: something is malformed or too large.
            LimitExceeded: the device hands in too much; says when to come again.
            Unavailable: the database is away; nothing is lost if the device repeats it.
        """
        now = self._clock()
        self._rates.take(device_id, size_bytes, now)
        _check(receipts, pieces, size_bytes)
        words = await self._opened(device_id, receipts)
        order_ids = {one.order_id for one, _ in words} | {one.order_id for one in pieces}
        turn = self._turns.setdefault(device_id, asyncio.Lock())
        async with turn:
            found = await self._targets.of_device(device_id, order_ids)
            news = _News({one.key: one for one in found})
            await self._add_parts(news, words, pieces)
            for receipt, sealed in words:
                news.hear(receipt, sealed, now)
            for piece in pieces:
                news.print(piece)
            await self._store(device_id, news, now)
        self._tell(device_id, news)
        return sorted(order_ids - {one.order_id for one in found})

    async def _opened(self, device_id: str, receipts: Sequence[SealedReceipt]) -> list[Word]:
        identity = await self._identities.get("device", device_id)
        keys = [key for key in (identity.spki, identity.pending_spki) if key] if identity else []
        return await asyncio.to_thread(_open_all, receipts, keys, self._fleet, device_id)

    async def _add_parts(self, news: _News, words: Iterable[Word], pieces: Iterable[Piece]) -> None:
        """Make targets for the parts of releases of which a device says something first."""
        wanted = {(one.order_id, one.part) for one, _ in words if one.part}
        wanted |= {(one.order_id, one.part) for one in pieces if one.part}
        whole = {one.order_id: one for one in news.targets.values() if not one.part}
        there = {(one.order_id, one.part) for one in news.targets.values()}
        missing = {one for one in wanted - there if one[0] in whole}
        if not missing:
            return
        orders = await self._orders.get_many({order_id for order_id, _ in missing})
        made = [
            part_of(whole[order_id], part)
            for order_id, part in sorted(missing)
            if order_id in orders and part in orders[order_id].parts
        ]
        await self._targets.add(made)
        news.targets |= {one.key: one for one in made}

    async def _store(self, device_id: str, news: _News, now: datetime) -> None:
        await asyncio.gather(
            self._output.add(news.pieces, now),
            *(self._record(device_id, target, payload) for target, payload in news.ends),
        )
        await self._targets.hear(list(news.heard.values()), news.held())
        if news.cut:
            await self._targets.cut(news.cut)

    async def _record(self, device_id: str, target: Target, payload: bytes) -> None:
        details = {
            "state": target.state,
            "receipt_sha256": hashlib.sha256(payload).hexdigest(),
            **({"part": target.part} if target.part else {}),
            **({"code": target.code} if target.code else {}),
        }
        actor = f"device/{device_id}"
        await self._ledger.append(actor, "order.receipt", target.order_id, details)

    def _tell(self, device_id: str, news: _News) -> None:
        changed = {one.order_id for one in news.heard.values()}
        self._hub.changed(changed | {one.order_id for one in news.pieces})
        if changed:
            self._delivery.want([device_id])
        for target, _ in news.ends:
            self._upkeep.ended(target)


def _open_all(
    receipts: Iterable[SealedReceipt], keys: Sequence[bytes], fleet: str, device_id: str
) -> list[Word]:
    return [(_open(one, keys, fleet, device_id), one) for one in receipts]


def _open(sealed: SealedReceipt, keys: Sequence[bytes], fleet: str, device_id: str) -> Receipt:
    for spki in keys[:-1]:
        try:
            return open_receipt(sealed, spki=spki, fleet=fleet, device_id=device_id)
        except Forbidden:
            continue
    last = keys[-1] if keys else b""
    return open_receipt(sealed, spki=last, fleet=fleet, device_id=device_id)


def _check(receipts: Collection[SealedReceipt], pieces: Collection[Piece], size_bytes: int) -> None:
    """Refuse what no agent sends.

    Raises:
        InvalidInput: it is too much, or a piece is none.
    """
    if size_bytes > CALL_LIMIT_BYTES or max(len(receipts), len(pieces)) > ITEMS_LIMIT:
        raise InvalidInput("this is too much for one call", code="too-large")
    for sealed in receipts:
        if len(sealed.payload) > RECEIPT_LIMIT_BYTES or len(sealed.signature) > _SIGNATURE_BYTES:
            raise InvalidInput("a receipt is too large", code="bad-receipt")
    for piece in pieces:
        if (
            not is_ulid(piece.order_id)
            or piece.stream not in STREAMS
            or len(piece.part) > _PART_CHARACTERS
            or len(piece.data) > PIECE_LIMIT_BYTES
            or piece.offset > 2**40
        ):
            raise InvalidInput("a piece of output is malformed or too large", code="bad-output")
