"""What monitoring asks of the server: counted as it happens, or looked up a few times a minute.

A scrape reads what is in memory: it never waits for the database. No name or value that a device
chose becomes a label; issues' names are those of checks, and whatever operators named themselves
counts as "other".
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, NoReturn

from prometheus_client import CollectorRegistry, Counter, Histogram
from prometheus_client.core import GaugeMetricFamily
from prometheus_client.registry import Collector

from penguind.workers import keep_on

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Iterator, Mapping

LOOK_SECONDS = 15.0
_BUCKETS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0)
_PREFIX = "penguind_"


@dataclass(frozen=True, slots=True)
class Look:
    """What was looked up; times are seconds since the Unix epoch, 0 for never.

    Attributes:
        single: values by metric name.
        labelled: values by label value, by metric name.
    """

    single: Mapping[str, float] = field(default_factory=dict)
    labelled: Mapping[str, Mapping[str, float]] = field(default_factory=dict)


#: Metrics without a label: what they tell.
SINGLE = {
    "database_up": "Whether the database answered at the last look",
    "connected_devices": "Devices whose stream is open",
    "reports_stored": "Reports stored since the start",
    "last_audit_time_seconds": "When all devices were last judged",
    "start_time_seconds": "When the server started",
    "problems": "Sentences in the server's list of problems",
    "ledger_rows": "Number of the ledger's newest row",
    "trust_version": "Version of the newest trust document",
    "last_backup_time_seconds": "When the last backup was made",
}
#: Metrics with one label: its name, and what they tell.
LABELLED = {
    "devices": ("state", "Devices by state"),
    "open_issues": ("severity", "Open issues by severity"),
    "open_issues_by_check": ("check", "Open issues by check"),
    "alerts": ("state", "Messages of the outbox by state"),
    "certificate_expiry_time_seconds": ("listener", "When each listener's certificate ends"),
}


class Metrics(Collector):
    """Everything that is told; `run` has to run.

    `look` finds out what is told besides the counts.
    """

    def __init__(self, look: Callable[[], Awaitable[Look]]) -> None:
        self._look = look
        self._seen = Look()
        self.registry = CollectorRegistry()
        self._calls = Counter(
            "rpcs", "Calls that ended", ["method", "code"], namespace="penguind",
            registry=self.registry,
        )  # fmt: skip
        self._seconds = Histogram(
            "rpc_seconds", "How long calls with one answer took", ["method"], namespace="penguind",
            registry=self.registry, buckets=_BUCKETS,
        )  # fmt: skip
        self.registry.register(self)

    def called(self, method: str, code: str, seconds: float | None) -> None:
        """Count a call by its full method name and status; a stream has no duration."""
        name = method.rpartition(".")[2]
        self._calls.labels(name, code).inc()
        if seconds is not None:
            self._seconds.labels(name).observe(seconds)

    def collect(self) -> Iterator[GaugeMetricFamily]:
        """Yield what was looked up last; called on the endpoint's threads."""
        seen = self._seen
        for name, text in SINGLE.items():
            if name in seen.single:
                yield GaugeMetricFamily(_PREFIX + name, text, value=seen.single[name])
        for name, (label, text) in LABELLED.items():
            family = GaugeMetricFamily(_PREFIX + name, text, labels=[label])
            for value, number in seen.labelled.get(name, {}).items():
                family.add_metric([value], number)
            yield family

    async def refresh(self) -> None:
        """Look once."""
        self._seen = await self._look()

    async def run(self) -> NoReturn:
        """Look a few times a minute until cancelled."""
        await keep_on("the metrics", self._turn)

    async def _turn(self) -> None:
        await self.refresh()
        await asyncio.sleep(LOOK_SECONDS)
