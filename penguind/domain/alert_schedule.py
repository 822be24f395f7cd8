"""When what is not urgent is told: at a time of day, or at intervals."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, time, timedelta, tzinfo

DAY = timedelta(days=1)


@dataclass(frozen=True, slots=True)
class DigestSchedule:
    """A time of day in a zone, or where `interval` is set, every so often."""

    at: time = time(8)
    zone: tzinfo = UTC
    interval: timedelta | None = None

    def next_time(self, last: datetime) -> datetime:
        """Return when the digest after the one of `last` is due, in UTC."""
        if self.interval is not None:
            return last + self.interval
        day = last.astimezone(self.zone).date()
        for number in range(3):
            due = datetime.combine(day + number * DAY, self.at, self.zone).astimezone(UTC)
            if due > last:
                return due
        raise AssertionError(last)

    def latest(self, last: datetime, now: datetime) -> datetime | None:
        """Return the newest time that is due and later than `last`; None if none is.

        Digests that were missed, for a server was off, become one.
        """
        due = self.next_time(last)
        if due > now:
            return None
        if self.interval is not None:
            return last + (now - last) // self.interval * self.interval
        while (following := self.next_time(due)) <= now:
            due = following
        return due
