"""How the server is, in one record."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from importlib.metadata import version
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from datetime import datetime

    from penguind.config_listeners import ListenerSettings
    from penguind.identity.trust import Trust
    from penguind.presence import Presence
    from penguind.problems import Problems
    from penguind.store.devices import DeviceStore
    from penguind.store.overview import Overview
    from penguind.tls import CertificateSource
    from penguindome.times import Clock


@dataclass(frozen=True, slots=True)
class ListenerFacts:
    """How one listener is."""

    settings: ListenerSettings
    certificate_expires_time: datetime
    connected_devices: int


@dataclass(frozen=True, slots=True)
class Facts:
    """The answer to "how are you"."""

    version: str
    fleet_id: str
    started_time: datetime
    time: datetime
    connected_devices: int
    devices: Mapping[str, int]
    open_issues: Mapping[str, int]
    database: str
    certificate_expires_time: datetime
    trust_version: int
    reports_stored: int
    problems: Sequence[str]
    last_audit_time: datetime | None
    listeners: Sequence[ListenerFacts]


class ServerStatus:
    """Collects the facts where they are.

    `reports_stored` and `last_audit_time` are asked of those who count; `database` is fixed.
    """

    def __init__(
        self,
        *,
        fleet_id: str,
        database: str,
        devices: DeviceStore,
        overview: Overview,
        presence: Presence,
        trust: Trust,
        certificate: CertificateSource,
        problems: Problems,
        reports_stored: Callable[[], int],
        last_audit_time: Callable[[], datetime | None],
        listeners: Sequence[ListenerSettings],
        certificates: Mapping[str, CertificateSource],
        clock: Clock,
    ) -> None:
        self.fleet_id = fleet_id
        self._database = database
        self._devices = devices
        self._overview = overview
        self._presence = presence
        self._trust = trust
        self._certificate = certificate
        self._problems = problems
        self._reports_stored = reports_stored
        self._last_audit_time = last_audit_time
        self._clock = clock
        self._started_time = clock()
        self._listeners = listeners
        self._certificates = certificates

    async def facts(self) -> Facts:
        """Return how the server is now."""
        trust = await self._trust.current()
        return Facts(
            version=version("penguindome"),
            fleet_id=self.fleet_id,
            started_time=self._started_time,
            time=self._clock(),
            connected_devices=self._presence.count(),
            devices=await self._devices.count_by_state(),
            open_issues=await self._overview.open_issues_by_severity(),
            database=self._database,
            certificate_expires_time=self._certificate.current().not_after,
            trust_version=0 if trust is None else trust.version,
            reports_stored=self._reports_stored(),
            problems=self._problems.all(),
            last_audit_time=self._last_audit_time(),
            listeners=self._listener_facts(),
        )

    def _listener_facts(self) -> list[ListenerFacts]:
        connected = Counter(self._presence.listeners().values())
        return [
            ListenerFacts(
                one, self._certificates[one.name].current().not_after, connected[one.name]
            )
            for one in self._listeners
        ]
