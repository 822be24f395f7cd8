"""The enrollment tokens' collection."""

from __future__ import annotations

from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from penguind.domain.token import WRONG_SECRETS_ALLOWED, Token
from penguind.store.translation import translated

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import datetime

    from penguind.store.database import Database

#: More than any server enrolls at the same time.
RECENT_REDEMPTIONS = 256


@translated
class TokenStore:
    """Tokens by id.

    The collection `redemptions` remembers which request got which device id, for good. A use is
    taken and noted in the token itself in one step, before that: its array of the newest requests
    bridges a death between the two.
    """

    def __init__(self, database: Database) -> None:
        self._tokens = database.db["tokens"]
        self._redemptions = database.db["redemptions"]

    async def prepare(self) -> None:
        """Index what a deleted device is looked up by; tokens are few and looked up by id."""
        await self._redemptions.create_index([("device_id", 1)])

    async def insert(self, token: Token) -> None:
        """Store a new token."""
        document = {**asdict(token), "_id": token.token_id, "redemptions": []}
        del document["token_id"]
        document["remaining"] = token.max_uses
        document["cidrs"], document["labels"] = list(token.cidrs), list(token.labels)
        await self._tokens.insert_one(document)

    async def get(self, token_id: str) -> Token | None:
        """Return the token, or None."""
        found = await self._tokens.find_one({"_id": token_id}, {"redemptions": 0})
        return None if found is None else _token(found)

    async def newest_first(self) -> list[Token]:
        """Return all tokens, newest first."""
        cursor = self._tokens.find({}, {"redemptions": 0}).sort([("created_time", -1), ("_id", 1)])
        return [_token(found) async for found in cursor]

    async def revoke(self, token_id: str) -> bool:
        """End a token; False if there is none."""
        result = await self._tokens.update_one({"_id": token_id}, {"$set": {"revoked": True}})
        return result.matched_count == 1

    async def count_wrong_secret(self, token_id: str) -> int:
        """Count a wrong secret; returns how many there were now."""
        found = await self._tokens.find_one_and_update(
            {"_id": token_id},
            {"$inc": {"wrong_secrets": 1}},
            projection={"wrong_secrets": 1},
            return_document=True,
        )
        return 0 if found is None else int(found["wrong_secrets"])

    async def reserve(
        self, token_id: str, csr_hash: bytes, device_id: str, now: datetime
    ) -> str | None:
        """Take one use for a request and return its device id; None when the token is used up.

        One conditional update decides among parallel requests. The same request again gets the
        device id that it got first, and takes no second use.
        """
        kept = await self._redemptions.find_one({"_id": _redemption(token_id, csr_hash)})
        if kept is not None:
            return str(kept["device_id"])
        found = await self._tokens.find_one_and_update(
            {
                "_id": token_id,
                "revoked": False,
                "wrong_secrets": {"$lt": WRONG_SECRETS_ALLOWED},
                "expires_time": {"$gt": now},
                "remaining": {"$gt": 0},
                "redemptions.csr_hash": {"$ne": csr_hash},
            },
            {
                "$inc": {"remaining": -1, "uses": 1},
                "$push": {
                    "redemptions": {
                        "$each": [{"csr_hash": csr_hash, "device_id": device_id, "time": now}],
                        "$slice": -RECENT_REDEMPTIONS,
                    }
                },
            },
            projection={"_id": 1},
        )
        if found is None:
            return await self._reserved(token_id, csr_hash)
        await self._keep(token_id, csr_hash, device_id)
        return device_id

    async def forget_device(self, device_id: str) -> None:
        """Make the request that got this device id an unknown one; the use stays taken."""
        await self._tokens.update_one(
            {"redemptions.device_id": device_id}, {"$set": {"redemptions.$.csr_hash": b""}}
        )
        await self._redemptions.delete_many({"device_id": device_id})

    async def _reserved(self, token_id: str, csr_hash: bytes) -> str | None:
        """Return what a request got that was not kept for good yet, and keep it."""
        found = await self._tokens.find_one(
            {"_id": token_id, "redemptions.csr_hash": csr_hash}, {"redemptions.$": 1}
        )
        if found is None:
            return None
        device_id = str(found["redemptions"][0]["device_id"])
        await self._keep(token_id, csr_hash, device_id)
        return device_id

    async def _keep(self, token_id: str, csr_hash: bytes, device_id: str) -> None:
        """Remember a request for as long as its token."""
        token = await self._tokens.find_one({"_id": token_id}, {"expires_time": 1}) or {}
        await self._redemptions.update_one(
            {"_id": _redemption(token_id, csr_hash)},
            {"$setOnInsert": {"device_id": device_id, "expires_time": token.get("expires_time")}},
            upsert=True,
        )


def _redemption(token_id: str, csr_hash: bytes) -> str:
    return f"{token_id}/{csr_hash.hex()}"


def _token(found: Mapping[str, Any]) -> Token:
    values = {name: found[name] for name in Token.__slots__ if name in found}
    values["secret_hash"] = bytes(found["secret_hash"])
    values["cidrs"], values["labels"] = tuple(found["cidrs"]), tuple(found["labels"])
    return Token(token_id=found["_id"], **values)
