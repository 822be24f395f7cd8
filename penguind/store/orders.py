"""The orders' collection: what was signed, and how far the whole of it is."""

from __future__ import annotations

from dataclasses import fields
from typing import TYPE_CHECKING, Any

from penguind.domain.order import Order
from penguind.store.translation import translated
from penguindome.envelope import Envelope

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping, Sequence
    from datetime import datetime

    from penguind.store.database import Database, Session


@translated
class OrderStore:
    """Orders by id."""

    def __init__(self, database: Database) -> None:
        self._orders = database.db["orders"]

    async def prepare(self) -> None:
        """Create the indexes, and so the collection, which a transaction should not have to."""
        await self._orders.create_index([("submitted_time", -1)])
        await self._orders.create_index([("kind", 1), ("submitted_time", -1)])
        await self._orders.create_index("ended_time")

    async def insert(self, order: Order, *, session: Session) -> None:
        """Store a new order."""
        await self._orders.insert_one(_document(order), session=session)

    async def get(self, order_id: str) -> Order | None:
        """Return an order, or None."""
        found = await self._orders.find_one({"_id": order_id})
        return None if found is None else _order(found)

    async def get_many(self, order_ids: Collection[str]) -> dict[str, Order]:
        """Return the orders that exist among the ids, by id."""
        cursor = self._orders.find({"_id": {"$in": sorted(order_ids)}})
        return {found["_id"]: _order(found) async for found in cursor}

    async def beginning_with(self, prefix: str, limit: int) -> list[Order]:
        """Return orders whose ids begin so, by id; the prefix is letters and digits."""
        query = {"_id": {"$gte": prefix, "$lt": f"{prefix}\uffff"}}
        cursor = self._orders.find(query).sort("_id", 1).limit(limit)
        return [_order(found) async for found in cursor]

    async def newest(
        self,
        limit: int,
        *,
        kinds: Collection[str] = (),
        order_ids: Collection[str] | None = None,
        only_waiting: bool = False,
    ) -> list[Order]:
        """Return orders, the last submitted first; no kinds mean all, None means all ids."""
        query: dict[str, Any] = {}
        if kinds:
            query["kind"] = {"$in": sorted(kinds)}
        if order_ids is not None:
            query["_id"] = {"$in": sorted(order_ids)}
        if only_waiting:
            query |= {"missing": {"$gt": 0}, "ended_time": None}
        cursor = self._orders.find(query).sort([("submitted_time", -1), ("_id", -1)]).limit(limit)
        return [_order(found) async for found in cursor]

    async def sign(
        self, former: Order, envelope: Envelope, signed_by: Sequence[str], missing: int
    ) -> Order | None:
        """Store further signatures; None if the order changed since it was read."""
        change = {
            "signatures": list(envelope.signatures),
            "signed_by": list(signed_by),
            "missing": missing,
        }
        query = {"_id": former.order_id, "revision": former.revision, "withdrawn_reason": ""}
        result = await self._orders.update_one(query, {"$set": change, "$inc": {"revision": 1}})
        return await self.get(former.order_id) if result.matched_count else None

    async def withdraw(self, order_id: str, reason: str) -> None:
        """Note that an order was withdrawn; the first reason stays."""
        await self._orders.update_one(
            {"_id": order_id, "withdrawn_reason": ""},
            {"$set": {"withdrawn_reason": reason}, "$inc": {"revision": 1}},
        )

    async def end(self, order_ids: Collection[str], now: datetime) -> None:
        """Note that all targets of orders ended."""
        await self._orders.update_many(
            {"_id": {"$in": sorted(order_ids)}, "ended_time": None},
            {"$set": {"ended_time": now}, "$inc": {"revision": 1}},
        )

    async def unended(self, order_ids: Collection[str] | None = None) -> dict[str, str]:
        """Return the kinds of the orders that have not ended, by id; None means all."""
        query: dict[str, Any] = {"ended_time": None}
        if order_ids is not None:
            query["_id"] = {"$in": sorted(order_ids)}
        cursor = self._orders.find(query, {"kind": 1})
        return {found["_id"]: found["kind"] async for found in cursor}


_PLAIN = tuple(
    field.name for field in fields(Order) if field.name not in ("order_id", "envelope", "kind")
)
_LISTS = ("signed_by", "parts", "cancels")


def _document(order: Order) -> dict[str, Any]:
    values = {name: getattr(order, name) for name in _PLAIN}
    lists = {name: list(values[name]) for name in _LISTS}
    return {
        "_id": order.order_id,
        "kind": order.kind,
        "payload": order.envelope.payload,
        "signatures": list(order.envelope.signatures),
        **values,
        **lists,
    }


def _order(found: Mapping[str, Any]) -> Order:
    values = {name: found[name] for name in _PLAIN}
    lists = {name: tuple(values[name]) for name in _LISTS}
    signatures = tuple(map(bytes, found["signatures"]))
    envelope = Envelope(found["kind"], bytes(found["payload"]), signatures)
    return Order(
        order_id=found["_id"], kind=found["kind"], envelope=envelope, **{**values, **lists}
    )
