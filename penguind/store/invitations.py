"""The operators' invitations' collection."""

from __future__ import annotations

from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from penguind.domain.operator import OperatorInvitation
from penguind.store.translation import translated

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import datetime

    from penguind.store.database import Database

_WRONG_SECRETS_ALLOWED = 5


@translated
class InvitationStore:
    """Invitations by id."""

    def __init__(self, database: Database) -> None:
        self._invitations = database.db["invitations"]

    async def prepare(self) -> None:
        """Nothing to index: invitations are few and looked up by id."""

    async def insert(self, invitation: OperatorInvitation) -> None:
        """Store a new invitation."""
        document = {**asdict(invitation), "_id": invitation.invitation_id}
        del document["invitation_id"]
        document["roles"] = list(invitation.roles)
        await self._invitations.insert_one(document)

    async def get(self, invitation_id: str) -> OperatorInvitation | None:
        """Return the invitation, or None."""
        found = await self._invitations.find_one({"_id": invitation_id})
        return None if found is None else _invitation(found)

    async def withdraw(self, name: str) -> bool:
        """Remove the invitations for a name; False if there are none."""
        result = await self._invitations.delete_many({"name": name})
        return result.deleted_count > 0

    async def open(self, now: datetime) -> list[OperatorInvitation]:
        """Return invitations that can still be redeemed, and were not yet, by name."""
        query = {
            "csr_hash": b"",
            "expires_time": {"$gt": now},
            "wrong_secrets": {"$lt": _WRONG_SECRETS_ALLOWED},
        }
        cursor = self._invitations.find(query).sort([("name", 1), ("_id", 1)])
        return [_invitation(found) async for found in cursor]

    async def count_wrong_secret(self, invitation_id: str) -> None:
        """Count a wrong secret; the fifth freezes the invitation."""
        await self._invitations.update_one({"_id": invitation_id}, {"$inc": {"wrong_secrets": 1}})

    async def reserve(self, invitation_id: str, csr_hash: bytes, now: datetime) -> bool:
        """Bind the invitation to a request, once; the same request may come again."""
        found = await self._invitations.find_one_and_update(
            {
                "_id": invitation_id,
                "wrong_secrets": {"$lt": _WRONG_SECRETS_ALLOWED},
                "expires_time": {"$gt": now},
                "csr_hash": {"$in": [b"", csr_hash]},
            },
            {"$set": {"csr_hash": csr_hash}},
            projection={"_id": 1},
        )
        return found is not None


def _invitation(found: Mapping[str, Any]) -> OperatorInvitation:
    values = {name: found[name] for name in OperatorInvitation.__slots__ if name in found}
    values["secret_hash"] = bytes(found["secret_hash"])
    values["csr_hash"] = bytes(found["csr_hash"])
    values["roles"] = tuple(found["roles"])
    return OperatorInvitation(invitation_id=found["_id"], **values)
