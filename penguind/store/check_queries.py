"""Run checks' queries: one aggregation says for many devices what every check matches.

What a query sees of a device is one document: `plugins`, `outputs` and `report` of its state, and
`device`, the fields of its record that checks may use.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from pymongo.errors import ExecutionTimeout, OperationFailure

from penguind.domain.escaping import unescape_value
from penguind.domain.evidence import Evidence, gather
from penguind.domain.paths import DEVICE_FIELDS, plugin_of
from penguind.domain.query import Query, resolve
from penguind.domain.verdict import Judged, Matches, Verdict, verdict_of
from penguind.store.translation import translated
from penguindome.logs import logger

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence
    from datetime import datetime

    from penguind.domain.check import Check
    from penguind.store.database import Database, Document

log = logger("checks")

#: How many checks go into one aggregation; each takes up to three of its facets.
CHECKS_AT_ONCE = 40
_MAX_MILLISECONDS = 20_000
_DEVICES = "devices"


@dataclass(slots=True)
class _Found:
    """What aggregations said so far: devices by id, and matching ids by facet."""

    devices: dict[str, Document] = field(default_factory=dict)
    matches: dict[str, set[str]] = field(default_factory=dict)
    undecided: dict[str, set[str]] = field(default_factory=dict)

    def add(self, document: Mapping[str, Any]) -> None:
        for facet, rows in document.items():
            if facet == _DEVICES:
                self.devices |= {row["_id"]: row for row in rows}
            else:
                self.matches.setdefault(facet, set()).update(row["_id"] for row in rows)


@translated
class CheckQueries:
    """The checks' view of devices."""

    def __init__(self, database: Database) -> None:
        self._states = database.db["states"]

    async def judge(
        self, checks: Sequence[Check], device_ids: Sequence[str], now: datetime
    ) -> list[Judged]:
        """Return the verdicts about those of the devices that are active.

        Args:
            checks: Those to run; ones without `fails` have no verdict.
            device_ids: At most some hundreds, so that one answer fits into a document.
            now: What `$ago` counts from.

        Raises:
            Unavailable: The database is away or too slow.
        """
        rules = [one for one in checks if one.fails is not None]
        found = _Found()
        for start in range(0, max(1, len(rules)), CHECKS_AT_ONCE):
            await self._run(rules[start : start + CHECKS_AT_ONCE], device_ids, now, found)
        return [_judged(device, rules, found) for device in found.devices.values()]

    async def evidence(
        self, wanted: Mapping[str, Sequence[Check]]
    ) -> dict[tuple[str, str], Evidence]:
        """Return what checks looked at, by device id and check name.

        Args:
            wanted: Checks by device id.
        """
        checks = {check.name: check for group in wanted.values() for check in group}
        pipeline = [*_devices(sorted(wanted)), {"$project": _projection(checks.values())}]
        found: dict[tuple[str, str], Evidence] = {}
        cursor = await self._states.aggregate(pipeline, maxTimeMS=_MAX_MILLISECONDS)
        async for document in cursor:
            for check in wanted[document["_id"]]:
                values = gather(document, check.paths())
                found[document["_id"], check.name] = {
                    path: unescape_value(value) for path, value in values.items()
                }
        return found

    async def _run(
        self, checks: Sequence[Check], device_ids: Sequence[str], now: datetime, found: _Found
    ) -> None:
        try:
            cursor = await self._states.aggregate(
                _pipeline(checks, device_ids, now), maxTimeMS=_MAX_MILLISECONDS
            )
            async for document in cursor:
                found.add(document)
        except ExecutionTimeout:
            raise
        except OperationFailure as error:
            if error.has_error_label("RetryableWriteError") or error.timeout:
                raise
            await self._halve(checks, device_ids, now, found, error)

    async def _halve(
        self,
        checks: Sequence[Check],
        device_ids: Sequence[str],
        now: datetime,
        found: _Found,
        error: OperationFailure,
    ) -> None:
        """Find the check, and the device's data, that the database cannot bring together."""
        if len(checks) > 1:
            middle = len(checks) // 2
            await self._run(checks[:middle], device_ids, now, found)
            await self._run(checks[middle:], device_ids, now, found)
        elif len(device_ids) > 1 and checks:
            middle = len(device_ids) // 2
            await self._run(checks, device_ids[:middle], now, found)
            await self._run(checks, device_ids[middle:], now, found)
        elif checks and device_ids:
            log.warning(
                "Check {} cannot judge device {}: {}", checks[0].name, device_ids[0], error.code
            )
            found.undecided.setdefault(checks[0].name, set()).add(device_ids[0])
            await self._run([], device_ids, now, found)
        else:
            raise error


def _pipeline(
    checks: Sequence[Check], device_ids: Sequence[str], now: datetime
) -> list[dict[str, Any]]:
    facets: dict[str, list[dict[str, Any]]] = {_DEVICES: [{"$project": _SUMMARY}]}
    for check in checks:
        for kind, query in _queries(check).items():
            facets[_facet(check, kind)] = [
                {"$match": resolve(query, now)},
                {"$project": {"_id": 1}},
            ]
    return [
        *_devices(device_ids),
        {"$project": _projection(checks)},
        {"$facet": facets},
    ]


_SUMMARY = {
    "hostname": "$device.hostname",
    "data_time": "$report.received_time",
    "outputs.name": 1,
    "outputs.status": 1,
}


def _devices(device_ids: Sequence[str]) -> list[dict[str, Any]]:
    """Return stages that yield one document for each of the devices that is active."""
    lookup = {
        "from": "devices",
        "localField": "_id",
        "foreignField": "_id",
        "as": "device",
    }
    return [
        {"$match": {"_id": {"$in": list(device_ids)}}},
        {"$lookup": lookup},
        {"$unwind": "$device"},
        {"$match": {"device.state": "active"}},
    ]


def _projection(checks: Iterable[Check]) -> dict[str, Any]:
    """Return a projection on what the checks look at, so that large outputs stay behind."""
    plugins = {plugin_of(path) for check in checks for path in check.paths()} - {""}
    return {
        "outputs": 1,
        "report": 1,
        **{f"device.{name}": 1 for name in sorted(DEVICE_FIELDS)},
        **{f"plugins.{name}": 1 for name in sorted(plugins)},
    }


def _queries(check: Check) -> dict[str, Query]:
    queries = {"fails": check.fails, "applies": check.applies, "unknown": check.unknown}
    return {kind: query for kind, query in queries.items() if query is not None}


def _facet(check: Check, kind: str) -> str:
    return f"{kind} {check.name}"


def _judged(device: Mapping[str, Any], checks: Sequence[Check], found: _Found) -> Judged:
    device_id = device["_id"]
    statuses = {one["name"]: one["status"] for one in device.get("outputs", ())}
    verdicts: dict[str, Verdict] = {}
    for check in checks:
        if device_id in found.undecided.get(check.name, ()):
            verdicts[check.name] = Verdict.UNKNOWN
            continue
        matches = Matches(
            fails=_matches(device_id, check, "fails", found, default=False),
            applies=_matches(device_id, check, "applies", found, default=check.applies is None),
            unknown=_matches(device_id, check, "unknown", found, default=False),
        )
        verdicts[check.name] = verdict_of(check.plugin, statuses, matches)
    return Judged(
        device_id=device_id,
        hostname=device.get("hostname", ""),
        data_time=device.get("data_time"),
        statuses=statuses,
        verdicts=verdicts,
    )


def _matches(device_id: str, check: Check, kind: str, found: _Found, *, default: bool) -> bool:
    return default or device_id in found.matches.get(_facet(check, kind), ())
