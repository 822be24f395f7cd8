"""The ratchets' collection: what each device was handed out, and what it confirmed."""

from __future__ import annotations

from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from pymongo.errors import DuplicateKeyError

from penguind.domain.ratchet import Ratchet
from penguind.store.translation import translated

if TYPE_CHECKING:
    from collections.abc import Mapping

    from penguind.store.database import Database


@translated
class RatchetStore:
    """Ratchets by device id."""

    def __init__(self, database: Database) -> None:
        self._ratchets = database.db["ratchets"]

    async def prepare(self) -> None:
        """Nothing to index: ratchets are looked up by device."""

    async def get(self, device_id: str) -> Ratchet | None:
        """Return a device's ratchet, or None."""
        found = await self._ratchets.find_one({"_id": device_id})
        return None if found is None else _ratchet(found)

    async def put(self, device_id: str, ratchet: Ratchet, former: Ratchet | None) -> bool:
        """Store a ratchet in place of a former one; False if another one is there by now."""
        document = {**asdict(ratchet), "_id": device_id}
        if former is None:
            try:
                await self._ratchets.insert_one(document)
            except DuplicateKeyError:
                return False
            return True
        result = await self._ratchets.replace_one(
            {"_id": device_id, "epoch": former.epoch, "turn": former.turn}, document
        )
        return result.matched_count == 1

    async def delete(self, device_id: str) -> None:
        """Forget a device's ratchet: its next check-in starts a new one."""
        await self._ratchets.delete_one({"_id": device_id})


def _ratchet(found: Mapping[str, Any]) -> Ratchet:
    return Ratchet(
        epoch=found["epoch"],
        turn=found["turn"],
        base=bytes(found["base"]),
        offer=bytes(found["offer"]),
        proven=found["proven"],
    )
