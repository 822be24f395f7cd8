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


@translated
class TokenStore:
    """Tokens by id.

    `redemptions` remembers which request got which device id, one element for each use: at the most
    that a token may have, 10,000, the document has 1 MB and the next use takes 14 ms instead of 2.
    """

    def __init__(self, database: Database) -> None:
        self._tokens = database.db["tokens"]

    async def prepare(self) -> None:
        """Nothing to index: tokens are few and looked up by id."""

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
                    "redemptions": {"csr_hash": csr_hash, "device_id": device_id, "time": now}
                },
            },
            projection={"_id": 1},
        )
        return device_id if found is not None else await self._reserved(token_id, csr_hash)

    async def forget_device(self, device_id: str) -> None:
        """Make the request that got this device id an unknown one; the use stays taken."""
        await self._tokens.update_one(
            {"redemptions.device_id": device_id}, {"$set": {"redemptions.$.csr_hash": b""}}
        )

    async def _reserved(self, token_id: str, csr_hash: bytes) -> str | None:
        found = await self._tokens.find_one(
            {"_id": token_id, "redemptions.csr_hash": csr_hash}, {"redemptions.$": 1}
        )
        return None if found is None else str(found["redemptions"][0]["device_id"])


def _token(found: Mapping[str, Any]) -> Token:
    values = {name: found[name] for name in Token.__slots__ if name in found}
    values["secret_hash"] = bytes(found["secret_hash"])
    values["cidrs"], values["labels"] = tuple(found["cidrs"]), tuple(found["labels"])
    return Token(token_id=found["_id"], **values)
