"""Which devices linger on a port that will be switched off.

A device lingers that used a deprecated listener within the last day, and no other one of that kind:
one that uses both will find its way, and its issue must not come and go.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import datetime, timedelta

PERIOD = timedelta(days=1)


@dataclass(frozen=True, slots=True)
class PortUse:
    """When a device used the listeners of one kind, the last times.

    `deprecated` is the name of the deprecated listener that it used last.
    """

    deprecated: str = ""
    deprecated_time: datetime | None = None
    current_time: datetime | None = None

    def used(self, listener: str, now: datetime, *, deprecated: bool) -> PortUse:
        """Return the same after a further use."""
        if deprecated:
            return replace(self, deprecated=listener, deprecated_time=now)
        return replace(self, current_time=now)

    def lingers(self, now: datetime) -> bool:
        """Tell whether the device does not know better than to use the deprecated one."""
        return _within(self.deprecated_time, now) and not _within(self.current_time, now)

    def over(self, now: datetime) -> bool:
        """Tell whether nothing of it counts any more."""
        return not _within(self.deprecated_time, now) and not _within(self.current_time, now)


def _within(time: datetime | None, now: datetime) -> bool:
    return time is not None and now - time < PERIOD
