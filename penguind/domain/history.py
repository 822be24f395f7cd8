"""How the server and the fleet were, a sample for each quarter of an hour."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, TypeVar

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

SLOT = timedelta(minutes=15)
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_Item = TypeVar("_Item")


@dataclass(frozen=True, slots=True)
class Sample:
    """One moment.

    Attributes:
        time: the beginning of its quarter of an hour.
        connected_devices: streams that were open.
        devices: devices by state.
        open_issues: open issues by severity.
        open_by_name: open issues by name.
        reporting_devices: active devices whose last report was younger than a day.
        reports_stored: reports since the sample before, of the server that took this one.
    """

    time: datetime
    connected_devices: int
    devices: Mapping[str, int]
    open_issues: Mapping[str, int]
    open_by_name: Mapping[str, int]
    reporting_devices: int
    reports_stored: int


def slot(now: datetime) -> datetime:
    """Return the beginning of the quarter of an hour that a moment is in."""
    return now - (now - _EPOCH) % SLOT


def spread(items: Sequence[_Item], limit: int) -> list[_Item]:
    """Return at most so many, evenly spread, the first and the last among them."""
    if len(items) <= limit:
        return list(items)
    if limit <= 1:
        return list(items[-1:])[:limit]
    step = (len(items) - 1) / (limit - 1)
    return [items[round(number * step)] for number in range(limit)]
