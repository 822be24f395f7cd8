"""How many reports, and how many bytes of them, one device may hand in."""

from __future__ import annotations

import math
from collections import OrderedDict
from dataclasses import dataclass
from datetime import datetime, timedelta

from penguindome.errors import LimitExceeded

_DAY_SECONDS = 86_400.0
_KEPT_DEVICES = 100_000


@dataclass(frozen=True, slots=True)
class RateLimits:
    """The limits of each device."""

    reports_per_minute: int = 12
    report_burst: int = 30
    report_bytes_per_day: int = 64 << 20


@dataclass(slots=True)
class _Allowance:
    """What a device has left; both grow back evenly."""

    reports: float
    size_bytes: float
    since: datetime
    refused: int = 0


class ReportRates:
    """Token buckets by device.

    Args:
        limits: the same for every device.
    """

    def __init__(self, limits: RateLimits) -> None:
        self._limits = limits
        self._allowances: OrderedDict[str, _Allowance] = OrderedDict()

    def take(self, device_id: str, size_bytes: int, now: datetime) -> None:
        """Count a report.

        Raises:
            LimitExceeded: the device handed in too much; says when to come again.
        """
        allowance = self._current(device_id, now)
        missing_seconds = self._missing(allowance, size_bytes)
        if missing_seconds > 0:
            allowance.refused += 1
            raise LimitExceeded(
                "the device hands in more than it may",
                code="report-quota",
                subject=device_id,
                remedy="it is tried again by itself; look for a plugin that prints too much",
                retry_after_seconds=math.ceil(missing_seconds),
            )
        allowance.refused = 0
        allowance.reports -= 1
        allowance.size_bytes -= size_bytes

    def refused(self, device_id: str) -> int:
        """Return how many reports in a row were refused."""
        allowance = self._allowances.get(device_id)
        return allowance.refused if allowance is not None else 0

    def forget(self, device_id: str) -> None:
        """Forget a device that is gone."""
        self._allowances.pop(device_id, None)

    def _current(self, device_id: str, now: datetime) -> _Allowance:
        limits = self._limits
        allowance = self._allowances.pop(device_id, None)
        if allowance is None:
            allowance = _Allowance(limits.report_burst, limits.report_bytes_per_day, now)
        passed = max(now - allowance.since, timedelta()).total_seconds()
        allowance.reports = min(
            allowance.reports + passed * limits.reports_per_minute / 60, limits.report_burst
        )
        allowance.size_bytes = min(
            allowance.size_bytes + passed * limits.report_bytes_per_day / _DAY_SECONDS,
            limits.report_bytes_per_day,
        )
        allowance.since = max(now, allowance.since)
        self._allowances[device_id] = allowance
        if len(self._allowances) > _KEPT_DEVICES:
            self._allowances.popitem(last=False)
        return allowance

    def _missing(self, allowance: _Allowance, size_bytes: int) -> float:
        """Return the seconds until the report may pass; 0 if it may now."""
        limits = self._limits
        reports = max(1 - allowance.reports, 0) * 60 / limits.reports_per_minute
        # A report larger than a day's worth would wait for ever: a full allowance lets it pass.
        wanted = min(size_bytes, limits.report_bytes_per_day)
        size = max(wanted - allowance.size_bytes, 0) * _DAY_SECONDS / limits.report_bytes_per_day
        return max(reports, size)
