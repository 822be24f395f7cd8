"""A dry run: the log says what would be told, as often as it would be."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING

from penguind.domain.alert_plan import planned
from penguindome.logs import logger

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from datetime import datetime

    from penguind.domain.alert import Alert
    from penguind.domain.alert_plan import Audience
    from penguind.domain.alert_schedule import DigestSchedule
    from penguind.domain.issue import Issue

log = logger("penguind.alerts")

# What was said stays said for a while: nothing in the database says so.
_QUIET = timedelta(days=1)


class DryRun:
    """Remembers in place of the database."""

    def __init__(self) -> None:
        self._told: dict[str, datetime] = {}
        self._last_digest: datetime | None = None

    def digest(
        self, schedule: DigestSchedule, now: datetime
    ) -> tuple[datetime | None, datetime] | None:
        """Return when the last digest was and when this one is due; None if none is."""
        last = self._last_digest
        if last is None:
            self._last_digest = now
            return None
        due = schedule.latest(last, now)
        return None if due is None else (last, due)

    def told(
        self,
        issues: Sequence[Issue],
        audience: Audience,
        now: datetime,
        digest: tuple[datetime | None, datetime] | None,
    ) -> list[Alert]:
        """Log what would be told; each issue once a day. Returns no message."""
        self._told = {key: time for key, time in self._told.items() if now - time < _QUIET}
        fresh = [one for one in issues if one.issue_id not in self._told]
        self.log(planned(fresh, audience, now))
        self._told |= dict.fromkeys((one.issue_id for one in fresh), now)
        if digest is not None:
            self._last_digest = digest[1]
        return []

    def log(self, alerts: Iterable[Alert]) -> None:
        """Log messages that are not sent."""
        for one in alerts:
            log.notice("Dry run: {} {} would get: {}", one.kind, one.recipient, one.subject)
