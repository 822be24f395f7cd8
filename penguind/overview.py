"""The fleet at a glance: posture by check, who is silent, and where it goes."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING

from penguind.domain.check import SEVERITIES
from penguind.domain.verdict import Verdict

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence
    from datetime import datetime

    from penguind.check_loader import CheckLoader
    from penguind.domain.check import Check
    from penguind.domain.device import Device
    from penguind.domain.history import Sample
    from penguind.history import History
    from penguind.presence import Presence
    from penguind.select import DeviceSelector
    from penguind.store.check_queries import CheckQueries
    from penguind.store.issues import IssueStore
    from penguind.store.overview import Overview

SILENT_AFTER = timedelta(days=1)
MOST_SILENT = 100
MOST_TREND = 200
DEFAULT_DAYS = 30
MOST_DAYS = 366
_BATCH = 500


@dataclass(frozen=True, slots=True)
class Posture:
    """How one check judges devices."""

    check: Check
    counts: Mapping[Verdict, int]

    def worst_first(self) -> tuple[int, int, str]:
        """Return a key that sorts what fails on top, the most severe first."""
        failing = self.counts[Verdict.FAIL]
        severity = 1 + SEVERITIES.index(self.check.severity) if failing else 0
        return (-severity, -failing, self.check.name)


@dataclass(frozen=True, slots=True)
class Silent:
    """A device that was not heard of for a day; `report_time` is None if it never reported."""

    device: Device
    report_time: datetime | None


@dataclass(frozen=True, slots=True)
class Glance:
    """The answer to "how is the fleet"."""

    time: datetime
    devices: int
    connected: int
    without_issues: int
    postures: Sequence[Posture]
    silent: Sequence[Silent]
    silent_devices: int
    trend: Sequence[Sample]
    operating_systems: Mapping[str, int]
    agent_versions: Mapping[str, int]


class FleetOverview:
    """Looks at all that an overview tells."""

    def __init__(
        self,
        *,
        selector: DeviceSelector,
        checks: CheckLoader,
        queries: CheckQueries,
        issues: IssueStore,
        overview: Overview,
        presence: Presence,
        history: History,
    ) -> None:
        self._selector = selector
        self._checks = checks
        self._queries = queries
        self._issues = issues
        self._overview = overview
        self._presence = presence
        self._history = history

    async def glance(self, terms: Sequence[str], days: int, now: datetime) -> Glance:
        """Return how the devices that the terms pick are; the trend is the whole fleet's.

        Raises:
            InvalidInput: A term cannot be read.
            NotFound: A whole name or id is no device's.
        """
        devices = await self._selector.resolve(list(terms))
        ids = [one.device_id for one in devices]
        troubled = await self._issues.devices_with_open()
        silent = await self._silent(devices, now)
        span = timedelta(days=min(days, MOST_DAYS) or DEFAULT_DAYS)
        return Glance(
            time=now,
            devices=len(devices),
            connected=len(self._presence.connected_ids().intersection(ids)),
            without_issues=len(set(ids) - troubled),
            postures=await self._postures(ids, now),
            silent=silent[:MOST_SILENT],
            silent_devices=len(silent),
            trend=await self._history.list(now - span, MOST_TREND),
            operating_systems=_counted(one.os_name for one in devices),
            agent_versions=_counted(one.agent_version for one in devices),
        )

    async def _postures(self, ids: Sequence[str], now: datetime) -> list[Posture]:
        rules = self._checks.current.rules()
        counts = {one.name: Counter[Verdict]() for one in rules}
        for start in range(0, len(ids), _BATCH):
            for judged in await self._queries.judge(rules, ids[start : start + _BATCH], now):
                for name, verdict in judged.verdicts.items():
                    counts[name][verdict] += 1
        return sorted((Posture(one, counts[one.name]) for one in rules), key=Posture.worst_first)

    async def _silent(self, devices: Sequence[Device], now: datetime) -> list[Silent]:
        times = await self._overview.last_report_times([one.device_id for one in devices])
        silent = [
            Silent(one, times.get(one.device_id))
            for one in devices
            if now - times.get(one.device_id, one.enrolled_time) > SILENT_AFTER
        ]
        silent.sort(key=lambda one: one.report_time or one.device.enrolled_time)
        return silent


def _counted(words: Iterable[str]) -> dict[str, int]:
    """Return how often each word stands there, the most frequent first."""
    return dict(Counter(word or "unknown" for word in words).most_common())
