"""The collection of devices' proofs that one of their keys follows another."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from penguind.store.translation import translated
from penguindome.succession import SealedSuccession

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import datetime

    from penguind.store.database import Database
    from penguindome.succession import Succession

# A device that renews each five days needs a quarter of a century for them.
_READ = 2_000


@dataclass(frozen=True, slots=True)
class HeldProof:
    """A proof that was checked: `renewed_time` is when the following key was last asked for."""

    former: bytes
    following: bytes
    sealed: SealedSuccession
    renewed_time: datetime


@translated
class SuccessionStore:
    """Proofs by device and following key."""

    def __init__(self, database: Database) -> None:
        self._proofs = database.db["successions"]

    async def prepare(self) -> None:
        """Create the indexes."""
        await self._proofs.create_index([("device_id", 1), ("following", 1)], unique=True)
        await self._proofs.create_index([("device_id", 1), ("renewed_time", -1)])

    async def put(self, said: Succession, sealed: SealedSuccession, now: datetime) -> None:
        """Store the proof of a renewal, in place of one for the same key."""
        document = {**_document(said, sealed), "renewed_time": now}
        await self._proofs.update_one(_of(said), {"$set": document}, upsert=True)

    async def add(self, said: Succession, sealed: SealedSuccession, time: datetime) -> None:
        """Store an older proof if there is none for its key."""
        document = {**_document(said, sealed), "renewed_time": time}
        await self._proofs.update_one(_of(said), {"$setOnInsert": document}, upsert=True)

    async def of_device(self, device_id: str) -> list[HeldProof]:
        """Return a device's proofs, the newest first; only so many."""
        cursor = self._proofs.find({"device_id": device_id}).sort("renewed_time", -1).limit(_READ)
        return [_proof(found) async for found in cursor]

    async def delete_of_device(self, device_id: str) -> None:
        """Remove all of a device."""
        await self._proofs.delete_many({"device_id": device_id})


def _of(said: Succession) -> dict[str, Any]:
    return {"device_id": said.device_id, "following": said.following}


def _document(said: Succession, sealed: SealedSuccession) -> dict[str, Any]:
    return {
        "former": said.former,
        "payload": sealed.payload,
        "former_signature": sealed.former_signature,
        "following_signature": sealed.following_signature,
    }


def _proof(found: Mapping[str, Any]) -> HeldProof:
    sealed = SealedSuccession(
        bytes(found["payload"]),
        bytes(found["former_signature"]),
        bytes(found["following_signature"]),
    )
    return HeldProof(
        bytes(found["former"]), bytes(found["following"]), sealed, found["renewed_time"]
    )
