"""The samples' collection: one for each quarter of an hour, whoever takes it."""

from __future__ import annotations

from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from pymongo.errors import DuplicateKeyError

from penguind.domain.history import Sample
from penguind.store.translation import translated

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import datetime

    from penguind.store.database import Database

# A year of quarters of an hour.
_MOST = 36_000


@translated
class HistoryStore:
    """Samples by time."""

    def __init__(self, database: Database) -> None:
        self._history = database.db["history"]
        self._states = database.db["states"]

    async def prepare(self) -> None:
        """Create the index."""
        await self._history.create_index("time")

    async def insert(self, sample: Sample) -> bool:
        """Store a sample; False if another server has taken this quarter's."""
        document = {**asdict(sample), "_id": sample.time.strftime("%Y-%m-%dT%H:%M")}
        for name in ("devices", "open_issues", "open_by_name"):
            document[name] = [{"name": key, "count": n} for key, n in document[name].items()]
        try:
            await self._history.insert_one(document)
        except DuplicateKeyError:
            return False
        return True

    async def since(self, time: datetime) -> list[Sample]:
        """Return samples from a time on, oldest first; of very many, the newest."""
        cursor = self._history.find({"time": {"$gte": time}}).sort("time", -1).limit(_MOST)
        return [_sample(found) async for found in cursor][::-1]

    async def count_reporting(self, since: datetime) -> int:
        """Return how many active devices have handed in a report since a time."""
        lookup = {"from": "devices", "localField": "_id", "foreignField": "_id", "as": "device"}
        pipeline: list[dict[str, Any]] = [
            {"$match": {"report.received_time": {"$gte": since}, "report.report_id": {"$gt": ""}}},
            {"$project": {"_id": 1}},
            {"$lookup": lookup},
            {"$match": {"device.state": "active"}},
            {"$count": "n"},
        ]
        cursor = await self._states.aggregate(pipeline)
        return sum([found["n"] async for found in cursor])


def _sample(found: Mapping[str, Any]) -> Sample:
    values = {name: found[name] for name in Sample.__slots__}
    for name in ("devices", "open_issues", "open_by_name"):
        values[name] = {one["name"]: one["count"] for one in found[name]}
    return Sample(**values)
