"""Look up what the metrics tell besides counts."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING

from penguind.metrics import Look
from penguindome.errors import PenguinDomeError

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from datetime import datetime

    from penguind.check_loader import CheckLoader
    from penguind.identity.trust import Trust
    from penguind.ledger import Ledger
    from penguind.presence import Presence
    from penguind.problems import Problems
    from penguind.store.backup_notes import BackupNotes
    from penguind.store.devices import DeviceStore
    from penguind.store.outbox import OutboxStore
    from penguind.store.overview import Overview
    from penguind.tls import CertificateSource

OTHER = "other"


@dataclass(frozen=True, slots=True, kw_only=True)
class MetricsFacts:
    """Where everything is asked for; `reports_stored` and `last_audit_time` by those who count."""

    started_time: datetime
    devices: DeviceStore
    overview: Overview
    outbox: OutboxStore
    backups: BackupNotes
    ledger: Ledger
    trust: Trust
    presence: Presence
    problems: Problems
    checks: CheckLoader
    certificates: Mapping[str, CertificateSource]
    reports_stored: Callable[[], int]
    last_audit_time: Callable[[], datetime | None]

    async def look(self) -> Look:
        """Return everything; without the database, what is known without it."""
        single = {
            "connected_devices": self.presence.count(),
            "reports_stored": self.reports_stored(),
            "last_audit_time_seconds": _seconds(self.last_audit_time()),
            "start_time_seconds": _seconds(self.started_time),
            "problems": len(self.problems.all()),
        }
        ends = {
            name: _seconds(source.current().not_after) for name, source in self.certificates.items()
        }
        labelled: dict[str, Mapping[str, float]] = {"certificate_expiry_time_seconds": ends}
        try:
            single |= await self._stored()
            labelled |= await self._counted()
        except PenguinDomeError:
            return Look({**single, "database_up": 0}, labelled)
        return Look({**single, "database_up": 1}, labelled)

    async def _stored(self) -> dict[str, float]:
        head, trust = await self.ledger.head(), await self.trust.current()
        return {
            "ledger_rows": 0 if head is None else head.number,
            "trust_version": 0 if trust is None else trust.version,
            "last_backup_time_seconds": _seconds(await self.backups.made_time()),
        }

    async def _counted(self) -> dict[str, Mapping[str, float]]:
        by_name: Counter[str] = Counter()
        for name, number in (await self.overview.open_issues_by_name()).items():
            by_name[name if self.checks.current.get(name) else OTHER] += number
        return {
            "devices": await self.devices.count_by_state(),
            "open_issues": await self.overview.open_issues_by_severity(),
            "open_issues_by_check": by_name,
            "alerts": await self.outbox.count_by_state(),
        }


def _seconds(moment: datetime | None) -> float:
    return 0.0 if moment is None else moment.timestamp()
