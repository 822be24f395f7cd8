"""The collection of proposed trust documents: at most one of a version."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from pymongo import ReturnDocument
from pymongo.errors import DuplicateKeyError

from penguind.domain.trust_proposal import Proposal
from penguind.store.translation import translated
from penguindome.envelope import LIMITS, Envelope

if TYPE_CHECKING:
    from collections.abc import Mapping

    from penguind.store.database import Database


@translated
class TrustProposalStore:
    """Proposals by version. Each change is one atomic update on the bytes that it is about."""

    def __init__(self, database: Database) -> None:
        self._proposals = database.db["trust_proposals"]

    async def prepare(self) -> None:
        """Nothing to index: proposals are looked up by version."""

    async def get(self, version: int) -> Proposal | None:
        """Return the proposal of a version."""
        found = await self._proposals.find_one({"_id": version})
        return None if found is None else _proposal(found)

    async def put(self, proposal: Proposal) -> bool:
        """Store a proposal in the place of one with the same base; False if its base is another."""
        document = {
            "_id": proposal.version,
            "base": proposal.base,
            "hash": proposal.hash,
            "kind": proposal.envelope.kind,
            "payload": proposal.envelope.payload,
            "signatures": list(proposal.envelope.signatures),
            "signers": list(proposal.signers),
            "proposed_by": proposal.proposed_by,
            "proposed_time": proposal.proposed_time,
        }
        wanted = {"_id": proposal.version, "base": proposal.base}
        try:
            await self._proposals.replace_one(wanted, document, upsert=True)
        except DuplicateKeyError:
            return False
        return True

    async def sign(
        self, version: int, payload_hash: bytes, signer: str, signature: bytes
    ) -> Proposal | None:
        """Add a signer's first signature and return the proposal.

        None if it is of other bytes, has the signer's already, or cannot hold more.
        """
        found = await self._proposals.find_one_and_update(
            {
                "_id": version,
                "hash": payload_hash,
                "signers": {"$ne": signer},
                f"signers.{LIMITS.signatures - 1}": {"$exists": False},
            },
            {"$push": {"signatures": signature, "signers": signer}},
            return_document=ReturnDocument.AFTER,
        )
        return None if found is None else _proposal(found)

    async def remove(self, version: int, payload_hash: bytes) -> bool:
        """Remove a proposal; False if there is none of these bytes."""
        done = await self._proposals.delete_one({"_id": version, "hash": payload_hash})
        return done.deleted_count == 1

    async def remove_until(self, version: int) -> None:
        """Remove proposals of a version and of all before it."""
        await self._proposals.delete_many({"_id": {"$lte": version}})


def _proposal(found: Mapping[str, Any]) -> Proposal:
    return Proposal(
        version=found["_id"],
        base=bytes(found["base"]),
        envelope=Envelope(
            kind=found["kind"],
            payload=bytes(found["payload"]),
            signatures=tuple(map(bytes, found["signatures"])),
        ),
        signers=tuple(found["signers"]),
        proposed_by=found["proposed_by"],
        proposed_time=found["proposed_time"],
    )
