"""Building what meets devices first: their check-ins, and the quota of their reports."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING

from penguind.admission import Admission
from penguind.checkin import CheckIns
from penguind.flooding import FloodWatch
from penguind.own_issues import OwnIssues
from penguind.presence import AgentSettings
from penguind.rates import RateLimits, ReportRates

if TYPE_CHECKING:
    from penguind.config import AgentsSettings
    from penguind.identity.clones import Clones
    from penguind.wiring_base import Base, Judging

_SECOND = timedelta(seconds=1)


def make_check_ins(base: Base, clones: Clones) -> CheckIns:
    """Build what holds devices' streams; its `run` has to run."""
    stores = base.stores

    async def hostname(device_id: str) -> str:
        # The guard has just read the record.
        identity = await base.identities.get("device", device_id)
        return "" if identity is None else identity.hostname

    async def trust_version() -> int:
        document = await base.trust.current()
        return 0 if document is None else document.version

    # A changed file has a newer time, and its wishes hold after a restart.
    changed = int(base.settings.path.stat().st_mtime)
    wishes = agent_settings(base.settings.agents, changed)
    return CheckIns(
        presence=base.presence,
        admission=Admission(),
        states=stores.states,
        devices=stores.devices,
        ratchets=clones,
        hostname=hostname,
        settings=lambda: wishes,
        trust_version=trust_version,
        clock=base.clock,
        deprecated={one.name for one in base.settings.listeners if one.deprecated},
    )


def make_flood_watch(base: Base, judging: Judging) -> FloodWatch:
    """Build the report quota; its `run` has to run."""
    limits = base.settings.limits
    rates = RateLimits(limits.reports_per_minute, limits.report_burst, limits.report_bytes_per_day)
    return FloodWatch(
        rates=ReportRates(rates),
        issues=OwnIssues(base.stores.issues, judging.checks, judging.push),
        devices=base.stores.devices,
        clock=base.clock,
    )


def agent_settings(settings: AgentsSettings, version: int) -> AgentSettings:
    """Return the server's wishes of agents."""
    plugins = {name: span // _SECOND for name, span in sorted(settings.plugin_intervals.items())}
    collect = settings.collect_interval // _SECOND
    submit = settings.submit_interval // _SECOND
    return AgentSettings(version, collect, submit, plugins)
