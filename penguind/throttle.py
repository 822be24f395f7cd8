"""Token buckets by key, for callers that have no certificate yet."""

from __future__ import annotations

from collections import OrderedDict
from datetime import datetime, timedelta

from penguindome.errors import LimitExceeded

_KEYS_KEPT = 10_000


class Throttle:
    """Lets `per_minute` calls of each key pass, and as many at once as a minute allows."""

    def __init__(self, per_minute: int) -> None:
        self._per_minute = per_minute
        self._buckets: OrderedDict[str, tuple[float, datetime]] = OrderedDict()

    def take(self, key: str, now: datetime) -> None:
        """Count one call.

        Raises:
            LimitExceeded: when the key's bucket is empty, with the seconds to wait.
        """
        left, since = self._buckets.pop(key, (float(self._per_minute), now))
        gained = max(now - since, timedelta()) / timedelta(minutes=1) * self._per_minute
        left = min(left + gained, float(self._per_minute))
        self._buckets[key] = (left - 1 if left >= 1 else left, now)
        if len(self._buckets) > _KEYS_KEPT:
            self._buckets.popitem(last=False)
        if left < 1:
            raise LimitExceeded(
                "too many calls from this address",
                code="too-many-calls",
                remedy="wait a little; it is tried again by itself",
                retry_after_seconds=max(1, int((1 - left) * 60 / self._per_minute) + 1),
            )
