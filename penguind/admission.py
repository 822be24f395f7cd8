"""Spread a fleet that comes back at once over time.

Every check-in is taken; what would hurt is that all of them hand in their backlog in the same
second. So each gets its own moment: the moments of all are as far apart as the server can bear.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from datetime import datetime

# Reports per second that leave the server room for everything else.
DEFAULT_RATE = 200.0
_LONGEST_SECONDS = 300


class Admission:
    """Gives out moments for handing in backlogs.

    Args:
        rate: reports per second over all devices.
        longest_seconds: no device waits longer, however many there are.
    """

    def __init__(
        self, *, rate: float = DEFAULT_RATE, longest_seconds: int = _LONGEST_SECONDS
    ) -> None:
        self._rate = rate
        self._longest_seconds = longest_seconds
        self._then: datetime | None = None
        self._ahead_seconds = 0.0

    def wait_seconds(self, *, backlog: int, now: datetime) -> int:
        """Return how long a device shall wait before it hands in its backlog.

        Args:
            backlog: how many reports wait on the device; one is assumed at least.
            now: by our clock.
        """
        if self._then is not None:
            passed = (now - self._then).total_seconds()
            self._ahead_seconds = max(0.0, self._ahead_seconds - max(0.0, passed))
        self._then = now
        wait = min(self._ahead_seconds, float(self._longest_seconds))
        # A device may claim any backlog: it must not push the others out.
        cost = min(max(backlog, 1), 10) / self._rate
        self._ahead_seconds = min(self._ahead_seconds + cost, float(self._longest_seconds))
        return math.floor(wait)
