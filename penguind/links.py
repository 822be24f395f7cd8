"""Hold back that a device is silent while its user reports from another one.

A person with two laptops uses one of them. An issue `not-reporting` of a device waits while

1. any active device that `user_clients` links it with reported within the time that the check
   allows, and
2. the device itself reported within 31 days, so that one that was lost is told in the end.
"""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from datetime import datetime

    from penguind.domain.check import Check
    from penguind.domain.issue import Issue
    from penguind.store.devices import DeviceStore
    from penguind.store.overview import Overview
    from penguind.store.parameters import ParameterStore

ISSUE = "not-reporting"
LONGEST_SILENCE = timedelta(days=31)
# What the shipped check allows, where a site's own does not say it in a form that is understood.
_USUAL_CUTOFF = timedelta(hours=24)
_PATH = "report.received_time"


class Links:
    """Finds the issues that links hold back.

    Args:
        parameters: which devices are linked.
        devices: which of them are active.
        overview: when they reported.
        check: returns the check not-reporting, None where it is switched off.
    """

    def __init__(
        self,
        *,
        parameters: ParameterStore,
        devices: DeviceStore,
        overview: Overview,
        check: Callable[[], Check | None],
    ) -> None:
        self._parameters = parameters
        self._devices = devices
        self._overview = overview
        self._check = check

    async def filtered(self, issues: Sequence[Issue], now: datetime) -> set[str]:
        """Return ids of the issues that links hold back now."""
        silent = [one for one in issues if one.name == ISSUE]
        if not silent:
            return set()
        links = await self._parameters.linked({one.device_id for one in silent})
        if not links:
            return set()
        others = {other for group in links.values() for other in group}
        found = await self._devices.find(states=["active"], device_ids=others)
        active = {one.device_id for one in found}
        reported = await self._overview.last_report_times(active.union(links))
        since = now - cutoff(self._check())
        alive = {one for one in active if one in reported and reported[one] >= since}
        return {
            one.issue_id
            for one in silent
            if not alive.isdisjoint(links.get(one.device_id, ()))
            and one.device_id in reported
            and now - reported[one.device_id] < LONGEST_SILENCE
        }


def cutoff(check: Check | None) -> timedelta:
    """Return how long a device may be silent before the check not-reporting fails."""
    spans = [] if check is None or check.fails is None else list(_spans(check.fails))
    return max(spans, default=_USUAL_CUTOFF)


def _spans(query: Any, path: str = "") -> Iterator[timedelta]:
    """Return what `$lt: {$ago: …}` of the last report's time says, wherever it stands."""
    if isinstance(query, list):
        for one in query:
            yield from _spans(one, path)
    elif isinstance(query, dict):
        for key, value in query.items():
            if key == "$ago" and path == _PATH:
                yield value
            else:
                yield from _spans(value, path if key.startswith("$") else key)
