"""How often things happen: the server's word first, then the release's, then the device's own.

The device's bounds are the schedule's to keep, and its own intervals of single plugins win there
over everything.
"""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING

from penguin_agent.connection import Wishes

if TYPE_CHECKING:
    from penguin_agent.collect.schedule import Schedule
    from penguin_agent.config import ScheduleSettings, Settings
    from penguin_agent.release.releases import Releases
    from penguin_agent.submitter import Submitter
    from penguindome.orders.release_body import ReleaseSettings

NO_WISHES = Wishes(None, None, {})


class Tuning:
    """Keeps the intervals in step with what was said last.

    Args:
        settings: The device's own.
        schedule: When plugins run.
        submitter: When changes are handed in.
        releases: What the release in force says.
    """

    def __init__(
        self, settings: Settings, schedule: Schedule, submitter: Submitter, releases: Releases
    ) -> None:
        self._settings = settings
        self._schedule = schedule
        self._submitter = submitter
        self._releases = releases
        self._wishes = NO_WISHES

    def wish(self, wishes: Wishes) -> None:
        """Take the server's wishes, if the device allows that."""
        self._wishes = wishes
        self.renew()

    def renew(self) -> None:
        """Take what holds now, e.g. since another release is in force."""
        own = self._settings.schedule
        if not self._settings.allow.server_schedule:
            return
        now = tuned(own, self._releases.checked.tree.settings, self._wishes)
        self._schedule.tune(interval=now.collect_interval, plugin_intervals=now.plugin_intervals)
        self._submitter.tune(now.submit_interval or own.submit_interval)


def tuned(own: ScheduleSettings, release: ReleaseSettings, server: Wishes) -> Wishes:
    """Return the intervals that are in force, none left open.

    Args:
        own: Of the settings file.
        release: Of the release in force.
        server: Its wishes of the last welcome or since.
    """
    released = {
        name: timedelta(seconds=seconds)
        for name, seconds in release.plugin_interval_seconds.items()
    }
    return Wishes(
        collect_interval=server.collect_interval
        or _span(release.collect_interval_seconds)
        or own.collect_interval,
        submit_interval=server.submit_interval
        or _span(release.submit_interval_seconds)
        or own.submit_interval,
        plugin_intervals={**released, **server.plugin_intervals},
    )


def _span(seconds: int | None) -> timedelta | None:
    return None if seconds is None else timedelta(seconds=seconds)
