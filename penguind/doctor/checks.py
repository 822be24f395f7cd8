"""The table of the doctor's checks, in the order in which they are run and told."""

from __future__ import annotations

from typing import TYPE_CHECKING

from penguind.doctor import alerting, identity, machine, stored

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from penguind.doctor.examination import Examination
    from penguind.doctor.running import Finding

CHECKS: Mapping[str, Callable[[Examination], Finding]] = {
    "settings": machine.settings,
    "user": machine.user,
    "secret-files": machine.secret_files,
    "disk-space": machine.disk,
    "inodes": machine.inodes,
    "clock": machine.clock,
    "processor": stored.processor,
    "mongod": stored.mongod,
    "database": stored.database,
    "restore": stored.restore_ended,
    "indexes": stored.indexes,
    "authorities": identity.authorities,
    "anchors": identity.anchors,
    "certificates": identity.certificates,
    "ports": identity.ports,
    "advertised-host": identity.advertised,
    "trust": stored.trust,
    "ledger": stored.ledger,
    "backups": stored.backups,
    "checks": machine.site_checks,
    "alerts": alerting.alerts,
    "outbox": stored.outbox,
    "unit": machine.unit,
}
