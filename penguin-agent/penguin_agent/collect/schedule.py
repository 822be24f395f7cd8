"""When each plugin is due: pure arithmetic on a clock that only moves forward.

Times are seconds of a monotonic clock that the caller reads (CLOCK_BOOTTIME is best: it counts a
laptop's sleep, so that a collection that became due meanwhile happens at once on waking).
"""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Mapping

SHORTEST = timedelta(minutes=1)
LONGEST = timedelta(days=1)
_JITTER = 0.1
# Answers that are costly to get and change slowly, unless somebody sets another interval.
_COSTLY = {"os_updates": timedelta(hours=1), "dmidecode": timedelta(hours=6)}


def clamped(interval: timedelta) -> timedelta:
    """Return `interval` within what the agent accepts, whoever asked for it."""
    return min(max(interval, SHORTEST), LONGEST)


class Schedule:
    """Next due times of plugins; a plugin never seen before is due at once.

    Args:
        interval: how often a plugin runs that has no interval of its own.
        plugin_intervals: the device's own settings; the server cannot change these.
        random: returns a number in [0, 1), so that a fleet does not move in step.
    """

    def __init__(
        self,
        *,
        interval: timedelta,
        plugin_intervals: Mapping[str, timedelta],
        random: Callable[[], float],
    ) -> None:
        self._interval = clamped(interval)
        self._own = {name: clamped(value) for name, value in plugin_intervals.items()}
        self._tuned: dict[str, timedelta] = {}
        self._random = random
        self._due: dict[str, float] = {}
        self._ran: dict[str, float] = {}

    def interval(self, name: str) -> timedelta:
        """Return how often a plugin runs: the device's word first, then the server's."""
        usual = max(self._interval, _COSTLY.get(name, self._interval))
        return self._own.get(name) or self._tuned.get(name) or usual

    def tune(
        self, *, interval: timedelta | None, plugin_intervals: Mapping[str, timedelta]
    ) -> None:
        """Take the server's wishes, clamped; due times that are now too far away come nearer."""
        if interval is not None:
            self._interval = clamped(interval)
        self._tuned = {name: clamped(value) for name, value in plugin_intervals.items()}
        self._due = {
            name: min(due, self._ran[name] + self.interval(name).total_seconds())
            for name, due in self._due.items()
        }

    def due(self, names: Collection[str], now: float) -> tuple[str, ...]:
        """Return those of `names` that are due, sorted."""
        return tuple(sorted(name for name in names if self._due.get(name, now) <= now))

    def ran(self, names: Collection[str], now: float) -> None:
        """Note that plugins ran at `now`: each is due again an interval later, less a little."""
        for name in names:
            seconds = self.interval(name).total_seconds()
            self._ran[name] = now
            self._due[name] = now + seconds * (1.0 - _JITTER * self._random())

    def next_time(self, names: Collection[str], now: float) -> float:
        """Return when the first of `names` is due; a longest interval from now without names."""
        times = [self._due.get(name, now) for name in names]
        return min(times, default=now + LONGEST.total_seconds())
