"""The rollouts' collection: how far each release got, by its number."""

from __future__ import annotations

from dataclasses import asdict, fields
from datetime import timedelta
from typing import TYPE_CHECKING, Any

from pymongo.errors import DuplicateKeyError

from penguind.domain.rollout import Rollout
from penguind.domain.rollout_plan import Plan, Ring
from penguind.store.translation import translated

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping

    from penguind.store.database import Database

_SECOND = timedelta(seconds=1)


@translated
class RolloutStore:
    """Rollouts by release number; who changes one says how it was before."""

    def __init__(self, database: Database) -> None:
        self._rollouts = database.db["rollouts"]

    async def prepare(self) -> None:
        """Index what releases are looked up by."""
        await self._rollouts.create_index("state")
        await self._rollouts.create_index("order_id", unique=True)

    async def insert(self, rollout: Rollout) -> bool:
        """Store a new one; False if its number is taken."""
        try:
            await self._rollouts.insert_one(_document(rollout))
        except DuplicateKeyError:
            return False
        return True

    async def replace(self, former: Rollout, rollout: Rollout) -> bool:
        """Store a change; False if somebody else changed it meanwhile."""
        before = {"_id": former.number, "revision": former.revision}
        document = {**_document(rollout), "revision": former.revision + 1}
        result = await self._rollouts.replace_one(before, document)
        return result.matched_count == 1

    async def get(self, number: int) -> Rollout | None:
        """Return one, or None."""
        found = await self._rollouts.find_one({"_id": number})
        return None if found is None else _rollout(found)

    async def of_order(self, order_id: str) -> Rollout | None:
        """Return the one that an order carries, or None."""
        found = await self._rollouts.find_one({"order_id": order_id})
        return None if found is None else _rollout(found)

    async def highest(self) -> int:
        """Return the highest number so far; 0 if there is none."""
        found = await self._rollouts.find_one({}, {"_id": 1}, sort=[("_id", -1)])
        return 0 if found is None else int(found["_id"])

    async def in_states(self, states: Collection[str]) -> list[Rollout]:
        """Return those in some states, the newest first."""
        cursor = self._rollouts.find({"state": {"$in": sorted(states)}}).sort("_id", -1)
        return [_rollout(found) async for found in cursor]

    async def newest_first(self, limit: int) -> list[Rollout]:
        """Return the newest ones."""
        cursor = self._rollouts.find({}).sort("_id", -1).limit(limit)
        return [_rollout(found) async for found in cursor]


def _document(rollout: Rollout) -> dict[str, Any]:
    document = asdict(rollout)
    document["_id"] = document.pop("number")
    document["excused"] = list(rollout.excused)
    document["opened_times"] = list(rollout.opened_times)
    plan = document["plan"]
    plan["soak_seconds"] = plan.pop("soak") // _SECOND
    plan["rings"] = [{**one, "selectors": list(one["selectors"])} for one in plan["rings"]]
    return document


def _rollout(found: Mapping[str, Any]) -> Rollout:
    names = {field.name for field in fields(Rollout)}
    values = {name: value for name, value in found.items() if name in names}
    plan = found["plan"]
    values["plan"] = Plan(
        rings=tuple(
            Ring(one["name"], one["percent"], tuple(one["selectors"])) for one in plan["rings"]
        ),
        healthy_percent=plan["healthy_percent"],
        automatic=plan["automatic"],
        soak=plan["soak_seconds"] * _SECOND,
    )
    values["excused"] = tuple(found["excused"])
    values["opened_times"] = tuple(found["opened_times"])
    return Rollout(number=found["_id"], **values)
