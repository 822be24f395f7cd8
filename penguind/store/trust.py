"""The trust documents' collection: every version is kept, for devices that slept."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from pymongo.errors import DuplicateKeyError

from penguind.store.translation import translated
from penguindome.envelope import Envelope

if TYPE_CHECKING:
    from collections.abc import Mapping

    from penguind.store.database import Database


@translated
class TrustStore:
    """Signed trust documents by version."""

    def __init__(self, database: Database) -> None:
        self._trust = database.db["trust"]

    async def prepare(self) -> None:
        """Nothing to index: documents are looked up by version."""

    async def insert(self, version: int, envelope: Envelope) -> bool:
        """Store a version; False if it exists already."""
        document = {
            "_id": version,
            "kind": envelope.kind,
            "payload": envelope.payload,
            "signatures": list(envelope.signatures),
        }
        try:
            await self._trust.insert_one(document)
        except DuplicateKeyError:
            return False
        return True

    async def after(self, version: int) -> list[tuple[int, Envelope]]:
        """Return versions and documents after a version, oldest first."""
        cursor = self._trust.find({"_id": {"$gt": version}}).sort("_id", 1)
        return [(found["_id"], _envelope(found)) async for found in cursor]


def _envelope(found: Mapping[str, Any]) -> Envelope:
    signatures = tuple(map(bytes, found["signatures"]))
    return Envelope(kind=found["kind"], payload=bytes(found["payload"]), signatures=signatures)
