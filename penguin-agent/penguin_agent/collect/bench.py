"""Run plugins that misbehave less often: each abuse doubles the pause, one good run ends it.

Pure: times are seconds of the caller's monotonic clock.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta

_TOLERATED = 2
_FIRST_PAUSE = timedelta(minutes=10)
_LONGEST_PAUSE = timedelta(hours=24)


@dataclass(frozen=True, slots=True)
class Strikes:
    """Abuses in a row, and until when the plugin stays on the bench (0 = it does not)."""

    count: int
    until: float


class Bench:
    """Who may not play for a while; the first abuses in a row are tolerated."""

    def __init__(self) -> None:
        self._strikes: dict[str, Strikes] = {}

    def is_benched(self, name: str, now: float) -> bool:
        """Return whether a plugin has to wait at `now`."""
        strikes = self._strikes.get(name)
        return strikes is not None and now < strikes.until

    def benched(self, now: float) -> tuple[str, ...]:
        """Return the names of all that have to wait at `now`, sorted."""
        return tuple(sorted(name for name in self._strikes if self.is_benched(name, now)))

    def note(self, name: str, now: float, *, abused: bool) -> None:
        """Note how a run went."""
        if not abused:
            self._strikes.pop(name, None)
            return
        old = self._strikes.get(name)
        count = (old.count if old else 0) + 1
        self._strikes[name] = Strikes(count, now + pause(count).total_seconds())

    def until(self, name: str) -> float:
        """Return when a plugin may run again, 0.0 when it may already."""
        strikes = self._strikes.get(name)
        return strikes.until if strikes else 0.0


def pause(count: int) -> timedelta:
    """Return how long a plugin sits out after `count` abuses in a row."""
    if count < _TOLERATED:
        return timedelta(0)
    doublings: int = 1 << min(count - _TOLERATED, 16)
    return min(_FIRST_PAUSE * doublings, _LONGEST_PAUSE)
