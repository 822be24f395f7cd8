"""What time it is, and whether this device's clock can be believed.

The wall clock stands on reports and in logs. Intervals are measured by CLOCK_BOOTTIME, which no one
can set and which counts a laptop's sleep. The server's clock is a second opinion.
"""

from __future__ import annotations

import time
from datetime import timedelta
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable
    from datetime import datetime

TOLERANCE = timedelta(minutes=5)


def boottime() -> float:
    """Return seconds since the machine started, sleep included."""
    return time.clock_gettime(time.CLOCK_BOOTTIME)


class DeviceClock:
    """Compares the device's clock with the server's, and with the newest signed time.

    Args:
        wall: the device's clock.
        steady: seconds that never jump.
    """

    def __init__(
        self, wall: Callable[[], datetime], steady: Callable[[], float] = boottime
    ) -> None:
        self._wall = wall
        self._steady = steady
        self._heard: tuple[datetime, float] | None = None
        self._floor: datetime | None = None
        self._doubted = False

    def now(self) -> datetime:
        """Return the device's clock, right or wrong."""
        return self._wall()

    def heard(self, server_time: datetime) -> None:
        """Note what the server's clock says now."""
        self._doubted = False
        self._heard = (server_time, self._steady())

    def doubt(self) -> None:
        """Note that by this clock the server's certificate is out of its dates."""
        self._doubted = True

    def signed(self, moment: datetime) -> None:
        """Note a time that operators signed: it cannot be earlier than that."""
        self._floor = moment if self._floor is None else max(self._floor, moment)

    def best(self) -> datetime:
        """Return the likeliest time: the server's if it was heard, else the device's own."""
        if self._heard is None:
            return self._wall()
        server_time, then = self._heard
        return server_time + timedelta(seconds=max(0.0, self._steady() - then))

    def skew(self) -> timedelta | None:
        """Return how far the device's clock is ahead of the server's; None if never heard."""
        return None if self._heard is None else self._wall() - self.best()

    def is_doubtful(self) -> bool:
        """Whether it may be wrong: either it is, or the server's certificate has ended."""
        return self._doubted

    def is_wrong(self) -> bool:
        """Whether the device's clock is out by more than the tolerance."""
        skew = self.skew()
        if skew is not None:
            return abs(skew) > TOLERANCE
        return self._floor is not None and self._wall() < self._floor - TOLERANCE
