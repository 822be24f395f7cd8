"""Building what almost every part of the server needs, and what judges devices."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from penguind.audit import Auditor
from penguind.chain import certificate_sources
from penguind.check_loader import CheckLoader
from penguind.identity.authority import load_authority
from penguind.identity.identities import Identities
from penguind.identity.key_history import KeyHistory
from penguind.identity.nonces import Nonces
from penguind.identity.ranges import RoleRanges
from penguind.identity.trust import Trust
from penguind.identity.upkeep import Upkeep
from penguind.ingest import Ingest
from penguind.ledger import Ledger
from penguind.presence import Presence, TrustChanged, VerdictsChanged
from penguind.problems import Problems
from penguind.select import DeviceSelector
from penguind.store.all import open_stores
from penguind.store.check_queries import CheckQueries
from penguind.store.overview import server_version

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from penguind.config import Settings
    from penguind.domain.advertised import Advertised
    from penguind.identity.authority import Authority
    from penguind.store.all import Stores
    from penguind.store.database import Database
    from penguind.tls import CertificateSource
    from penguindome.times import Clock


@dataclass(frozen=True, slots=True)
class Base:
    """What almost every part needs."""

    settings: Settings
    database: Database
    stores: Stores
    clock: Clock
    authority: Authority
    identities: Identities
    ledger: Ledger
    ranges: RoleRanges
    presence: Presence
    trust: Trust
    upkeep: Upkeep
    problems: Problems
    certificates: Mapping[str, CertificateSource]
    nonces: Nonces
    database_name: str

    @property
    def advertised(self) -> Advertised:
        """Return what others are told to dial."""
        return self.settings.advertised

    @property
    def certificate(self) -> CertificateSource:
        """Return the certificate of the first main listener."""
        first = next(one for one in self.settings.listeners if one.kind == "main")
        return self.certificates[first.name]

    @property
    def key_history(self) -> KeyHistory:
        """Return what knows devices' former keys."""
        return KeyHistory(self.stores.successions, self.settings.server.fleet_id)

    @property
    def selector(self) -> DeviceSelector:
        """Return what turns terms into devices."""
        return DeviceSelector(self.stores.devices, self.stores.issues)


@dataclass(frozen=True, slots=True)
class Judging:
    """What judges devices and takes their reports in."""

    checks: CheckLoader
    queries: CheckQueries
    auditor: Auditor
    ingest: Ingest
    push: Callable[[str], object]


async def make_base(settings: Settings, database: Database, clock: Clock) -> Base:
    """Open the collections and load the keys.

    Raises:
        PreconditionFailed: keys, certificate or database are not as they must be.
    """
    fleet = settings.server.fleet_id
    stores = await open_stores(database, fleet)
    presence, problems = Presence(), Problems()

    def announce(version: int) -> None:
        presence.push_all(TrustChanged(version))

    authority = load_authority(settings.server.state_dir, fleet)
    certificates = certificate_sources(settings, clock)
    for source in dict.fromkeys(certificates.values()):
        problems.add(source.problems)
    problems.add(lambda: authority.problems(clock()))
    trust = Trust(stores.trust, fleet, clock, [announce])
    problems.add(lambda: trust.problems(clock()))
    ledger = Ledger(stores.ledger, clock)
    files = [(one.certificate, one.key) for one in settings.listeners]
    upkeep = Upkeep(settings.server.state_dir, files, authority, ledger, clock)
    problems.add(upkeep.problems)
    return Base(
        settings=settings,
        database=database,
        stores=stores,
        clock=clock,
        authority=authority,
        identities=Identities(stores.devices, stores.operators, clock),
        ledger=ledger,
        ranges=RoleRanges(stores.role_ranges, clock),
        presence=presence,
        trust=trust,
        upkeep=upkeep,
        problems=problems,
        certificates=certificates,
        nonces=Nonces(),
        database_name=await _database_name(settings, database),
    )


def make_judging(base: Base) -> Judging:
    """Build ingest, checks and audit."""
    stores = base.stores
    checks = CheckLoader(base.settings.checks_directory, base.settings.calendars)
    checks.refresh()
    queries = CheckQueries(base.database)

    def push(device_id: str) -> object:
        return base.presence.push(device_id, VerdictsChanged())

    auditor = Auditor(
        checks=checks,
        queries=queries,
        devices=stores.devices,
        issues=stores.issues,
        push=push,
        clock=base.clock,
        interval=base.settings.audit_interval,
    )
    ingest = Ingest(base.database, stores.states, stores.trail, on_changed=auditor.changed)
    base.problems.add(
        lambda: [
            f"Check {one.origin} is not used: {one.reason}." for one in checks.current.problems
        ]
    )
    return Judging(checks, queries, auditor, ingest, push)


async def _database_name(settings: Settings, database: Database) -> str:
    """Return where the database is and which version it has."""
    where = "embedded" if settings.database.embedded else "external"
    return f"{where} MongoDB {await server_version(database)}"
