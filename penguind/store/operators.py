"""The operators' collection."""

from __future__ import annotations

from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from penguind.domain.operator import SERIALS_KEPT, Operator
from penguind.store.translation import translated

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from datetime import datetime

    from penguind.store.database import Database


@translated
class OperatorStore:
    """Operators by name."""

    def __init__(self, database: Database) -> None:
        self._operators = database.db["operators"]

    async def prepare(self) -> None:
        """Nothing to index: operators are few and looked up by name."""

    async def get(self, name: str) -> Operator | None:
        """Return the operator, or None."""
        found = await self._operators.find_one({"_id": name})
        return None if found is None else _operator(found)

    async def put(self, operator: Operator) -> None:
        """Store an operator; one of the same name, with its certificates, is replaced."""
        document = {**asdict(operator), "_id": operator.name}
        del document["name"]
        document["roles"], document["serials"] = list(operator.roles), list(operator.serials)
        await self._operators.replace_one({"_id": operator.name}, document, upsert=True)

    async def add_certificate(
        self, name: str, spki: bytes, serial: str, expires_time: datetime
    ) -> bool:
        """Record a certificate before it is handed out; False once revoked or with another key."""
        result = await self._operators.update_one(
            {"_id": name, "spki": spki, "revoked": False},
            {
                "$push": {"serials": {"$each": [serial], "$slice": -SERIALS_KEPT}},
                "$set": {"certificate_expires_time": expires_time},
            },
        )
        return result.matched_count == 1

    async def all(self) -> list[Operator]:
        """Return all operators, by name."""
        return [_operator(found) async for found in self._operators.find({}).sort("_id", 1)]

    async def set_roles(self, name: str, former: Sequence[str], roles: Sequence[str]) -> bool:
        """Replace the roles of an operator; False if they, or the operator, changed meanwhile."""
        result = await self._operators.update_one(
            {"_id": name, "revoked": False, "roles": list(former)},
            {"$set": {"roles": list(roles)}},
        )
        return result.matched_count == 1

    async def revoke(self, name: str) -> bool:
        """End an operator's identity; False if there is no such operator."""
        result = await self._operators.update_one({"_id": name}, {"$set": {"revoked": True}})
        return result.matched_count == 1

    async def revoked(self) -> list[str]:
        """Return the names of operators whose identity ended."""
        return [found["_id"] async for found in self._operators.find({"revoked": True}, {"_id": 1})]


def _operator(found: Mapping[str, Any]) -> Operator:
    values = {name: found[name] for name in Operator.__slots__ if name in found}
    values["spki"] = bytes(found["spki"])
    values["roles"], values["serials"] = tuple(found["roles"]), tuple(found["serials"])
    return Operator(name=found["_id"], **values)
