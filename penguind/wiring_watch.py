"""Building what looks at the fleet and at the server itself."""

from __future__ import annotations

from importlib.metadata import version
from typing import TYPE_CHECKING

from penguind.own_issues import OwnIssues
from penguind.store.watching import WatchQueries
from penguind.watch.server_ends import ServerEnds
from penguind.watch.worker import Watch

if TYPE_CHECKING:
    from penguind.wiring_base import Base, Judging


def make_watch(base: Base, judging: Judging) -> Watch:
    """Build what opens the server's own issues; its `run` has to run."""
    return Watch(
        queries=WatchQueries(base.database),
        issues=OwnIssues(base.stores.issues, judging.checks, judging.push),
        ends=ServerEnds(
            listeners=base.settings.listeners,
            certificates=base.certificates,
            authority=base.authority,
            trust=base.trust,
        ),
        settings=base.settings.agents,
        server_version=version("penguindome"),
        clock=base.clock,
    )
