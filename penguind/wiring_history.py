"""Building what remembers how the fleet was, and what shows how it is."""

from __future__ import annotations

from typing import TYPE_CHECKING

from penguind.history import History
from penguind.metrics import Metrics
from penguind.metrics_endpoint import MetricsEndpoint
from penguind.metrics_facts import MetricsFacts
from penguind.overview import FleetOverview
from penguind.store.backup_notes import BackupNotes
from penguind.store.overview import Overview

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine

    from penguind.config import Settings
    from penguind.wiring_base import Base, Judging


def make_history(base: Base, judging: Judging) -> History:
    """Build the samples; their `run` has to run."""
    return History(
        store=base.stores.history,
        devices=base.stores.devices,
        overview=Overview(base.database),
        presence=base.presence,
        reports_stored=lambda: judging.ingest.reports_stored,
        clock=base.clock,
    )


def make_overview(base: Base, judging: Judging, history: History) -> FleetOverview:
    """Build the fleet at a glance."""
    return FleetOverview(
        selector=base.selector,
        checks=judging.checks,
        queries=judging.queries,
        issues=base.stores.issues,
        overview=Overview(base.database),
        presence=base.presence,
        history=history,
    )


def make_metrics(base: Base, judging: Judging) -> Metrics:
    """Build what counts; its `run` has to run where it is served."""
    stores = base.stores
    facts = MetricsFacts(
        started_time=base.clock(),
        devices=stores.devices,
        overview=Overview(base.database),
        outbox=stores.outbox,
        backups=BackupNotes(base.database),
        ledger=base.ledger,
        trust=base.trust,
        presence=base.presence,
        problems=base.problems,
        checks=judging.checks,
        certificates=base.certificates,
        reports_stored=lambda: judging.ingest.reports_stored,
        last_audit_time=lambda: judging.auditor.last_full_time,
    )
    return Metrics(facts.look)


def metrics_workers(
    settings: Settings, metrics: Metrics
) -> dict[str, Callable[[], Coroutine[object, object, None]]]:
    """Bind the endpoint, where one is wanted, and return what has to run, by name.

    Raises:
        PreconditionFailed: its port or certificate cannot be used.
    """
    if not settings.metrics.port:
        return {}
    endpoint = MetricsEndpoint(settings.metrics, metrics)
    return {"metrics": metrics.run, "metrics endpoint": endpoint.run}
