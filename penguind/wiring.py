"""Building the server: the one place where its parts meet."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from penguind.backup.periodic import PeriodicBackups
from penguind.gate import Gate, certified, throttled
from penguind.health import Health
from penguind.identity.guard import Guard
from penguind.identity.restored import LostCertificates
from penguind.listeners import Listener, Served, make_servers
from penguind.retention import Retention
from penguind.store.backup_notes import BackupNotes
from penguind.throttle import Throttle
from penguind.wiring_agents import make_check_ins, make_flood_watch
from penguind.wiring_alerts import make_alerting
from penguind.wiring_base import make_base, make_judging
from penguind.wiring_bootstrap import bootstrap_services, make_port_watch
from penguind.wiring_history import make_history, make_metrics, metrics_workers
from penguind.wiring_identity import make_blocking, make_clones
from penguind.wiring_orders import make_ordering, make_sending
from penguind.wiring_releases import make_release_worker, make_releases
from penguind.wiring_services import Parts, main_services
from penguind.wiring_shells import make_shells
from penguind.wiring_watch import make_watch

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine, Mapping, Sequence

    import grpc.aio

    from penguind.caller import Caller
    from penguind.config import Settings
    from penguind.identity.blocking import Blocking
    from penguind.metrics import Metrics
    from penguind.port_watch import PortWatch
    from penguind.presence import Presence
    from penguind.store.database import Database
    from penguind.wiring_base import Base, Judging
    from penguindome.times import Clock

    Worker = Callable[[], Coroutine[object, object, None]]


@dataclass(frozen=True, slots=True)
class Application:
    """A server that is ready to start; `workers` run beside it, by name."""

    servers: Sequence[grpc.aio.Server]
    health: Health
    presence: Presence
    workers: Mapping[str, Worker]


async def build(settings: Settings, database: Database, clock: Clock) -> Application:
    """Build everything on an open database; nothing serves yet.

    Raises:
        PreconditionFailed: keys, certificate, ports or database are not as they must be.
    """
    base = await make_base(settings, database, clock)
    judging = make_judging(base)
    blocking = make_blocking(base, judging)
    parts = _parts(base, judging, blocking)
    served = main_services(base, judging, parts)
    health, ports = Health(), make_port_watch(base, judging, parts.check_ins)
    backups = PeriodicBackups(settings, database, clock)
    base.problems.add(backups.problems)
    lost = await _lost(base)
    guard = Guard(base.authority, base.identities, clock, lost.take)
    metrics = make_metrics(base, judging)
    every = [*served, *health.services(_names(served))]
    listeners = _listeners(base, guard, ports, every, metrics)
    return Application(
        servers=make_servers(listeners, base.certificates),
        health=health,
        presence=base.presence,
        workers={
            **_part_workers(base, judging, parts),
            **metrics_workers(settings, metrics),
            "audit": judging.auditor.run,
            "blocked devices": blocking.run,
            "checks": lambda: judging.checks.run(judging.auditor.request_full),
            "identities": base.identities.run,
            "ingest": judging.ingest.run,
            "periodic backups": backups.run,
            "ports": ports.run,
            "retention": Retention(base.stores.old_things, settings.retention, clock).run,
            "upkeep": base.upkeep.run,
        },
    )


def _parts(base: Base, judging: Judging, blocking: Blocking) -> Parts:
    """Build what the services of main listeners are made of."""
    sending = make_sending(base)
    releases = make_releases(base, sending.endings)
    return Parts(
        check_ins=make_check_ins(base, make_clones(base, blocking)),
        quota=make_flood_watch(base, judging),
        alerting=make_alerting(base, judging),
        history=make_history(base, judging),
        watch=make_watch(base, judging),
        ordering=make_ordering(base, judging, sending, releases.offers, releases.desk),
        releases=releases,
        shells=make_shells(base, sending),
    )


def _part_workers(base: Base, judging: Judging, parts: Parts) -> dict[str, Worker]:
    """Return what has to run of these parts, by name."""
    delivery = parts.ordering.delivery
    return {
        **parts.alerting.workers,
        **parts.ordering.workers,
        "check-ins": parts.check_ins.run,
        "floods": parts.quota.run,
        "history": parts.history.run,
        "releases": make_release_worker(base, judging, parts.releases, delivery).run,
        "shells": parts.shells.desk.run,
        "watch": parts.watch.run,
    }


async def _lost(base: Base) -> LostCertificates:
    """Return what knows certificates that a restored backup does not."""
    return LostCertificates(
        await BackupNotes(base.database).restored(),
        base.stores.devices,
        base.stores.operators,
        base.identities,
    )


def _listeners(
    base: Base, guard: Guard, ports: PortWatch, main: Sequence[Served], metrics: Metrics
) -> list[Listener]:
    """Return every listener; those of a kind share what stands behind their gates."""
    throttle = Throttle(base.settings.limits.enroll_per_minute)
    authenticate = {
        "main": certified(guard, base.ranges),
        "bootstrap": throttled(throttle, base.clock),
    }
    services = {"main": main, "bootstrap": bootstrap_services(base, ports)}

    def note(who: Caller) -> None:
        if who.kind == "device":
            ports.note(who.name, who.listener)

    return [
        Listener(
            one,
            Gate(
                one.kind,
                authenticate[one.kind],
                name=one.name,
                identities=base.identities,
                ledger=base.ledger,
                note=note,
                called=metrics.called,
            ),
            services[one.kind],
            base.authority.current_roots if one.kind == "main" else None,
        )
        for one in base.settings.listeners
    ]


def _names(services: Sequence[Served]) -> list[str]:
    return [one.descriptor.full_name for one in services]
