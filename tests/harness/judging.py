"""A database with devices in it, and everything that judges them."""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

from penguind.audit import Auditor
from penguind.check_loader import CheckLoader
from penguind.domain.device import Device
from penguind.domain.escaping import escape_value
from penguind.issues import IssueDesk
from penguind.select import DeviceSelector
from penguind.store.check_queries import CheckQueries
from penguind.store.devices import DeviceStore
from penguind.store.issues import IssueStore
from tests.harness.database import fresh_database

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Mapping
    from pathlib import Path

    from penguind.store.database import Database

NOW = datetime(2026, 3, 2, 12, 0, tzinfo=UTC)
#: A plugin's output: a status and a value, or a value alone, whose status is ok.
Outputs = dict[str, Any]


@dataclass
class Judging:
    """Stores, checks and an auditor over one fresh database."""

    database: Database
    checks: CheckLoader
    now: datetime = NOW
    pushed: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.devices = DeviceStore(self.database)
        self.issues = IssueStore(self.database)
        self.queries = CheckQueries(self.database)
        self.selector = DeviceSelector(self.devices, self.issues)
        self.auditor = Auditor(
            checks=self.checks,
            queries=self.queries,
            devices=self.devices,
            issues=self.issues,
            push=self.pushed.append,
            clock=self.clock,
        )
        self.desk = IssueDesk(
            issues=self.issues,
            devices=self.devices,
            checks=self.checks,
            selector=self.selector,
            push=self.pushed.append,
            audit=self.auditor.request,
        )

    def clock(self) -> datetime:
        return self.now

    def passes(self, **spans: float) -> datetime:
        """Let time pass."""
        self.now += timedelta(**spans)
        return self.now

    async def add(self, device_id: str, outputs: Outputs | None = None, **facts: Any) -> None:
        """Enroll a device that reported outputs just now."""
        hostname = facts.pop("hostname", device_id.removeprefix("d-"))
        values: dict[str, Any] = {"state": "active", "enrolled_time": self.now, **facts}
        await self.devices.insert(
            Device(device_id=device_id, hostname=hostname, spki=b"", fingerprint="", **values)
        )
        await self.report(device_id, outputs or {})

    async def report(self, device_id: str, outputs: Outputs) -> None:
        """Replace what a device last reported."""
        state = state_document(outputs, self.now)
        await self.database.db["states"].replace_one({"_id": device_id}, state, upsert=True)

    async def verdicts(self, device_id: str, outputs: Outputs) -> dict[str, str]:
        """Return the verdicts of the checks in force about these outputs."""
        await self.report(device_id, outputs)
        rules = self.checks.current.rules()
        judged = await self.queries.judge(rules, [device_id], self.now)
        return {name: str(verdict) for name, verdict in judged[0].verdicts.items()}

    async def audit(self, *device_ids: str) -> tuple[list[str], list[str]]:
        """Audit now; returns the names of issues that were opened and closed."""
        outcome = await self.auditor.audit(device_ids or None, self.now)
        return sorted(one.name for one in outcome.opened), sorted(
            one.name for one in outcome.closed
        )

    async def open_names(self, device_id: str) -> list[str]:
        return (await self.issues.open_names([device_id])).get(device_id, [])


def state_document(outputs: Mapping[str, Any], received: datetime) -> dict[str, Any]:
    """Return a state as the report store writes it."""
    rows, plugins = [], {}
    for name, given in outputs.items():
        status, value = given if isinstance(given, tuple) else ("ok", given)
        rows.append({"name": name, "status": status, "reason": "", "collected_time": received})
        if status in ("ok", "cached"):
            plugins[name] = escape_value(value)
    report = {"received_time": received, "collected_time": received, "boot_id": ""}
    return {"plugins": plugins, "outputs": rows, "report": report}


@asynccontextmanager
async def judging(uri: str, directory: Path | None = None) -> AsyncIterator[Judging]:
    """Open a database of its own with the shipped checks and a site's directory."""
    checks = CheckLoader(directory)
    checks.refresh()
    async with fresh_database(uri) as database:
        bench = Judging(database, checks)
        await bench.devices.prepare()
        await bench.issues.prepare()
        yield bench


def story_runner(uri, make):
    """Return what runs a story with what `make` builds around fresh judges."""

    def run_story(story):
        async def main():
            async with judging(uri) as judges, asyncio.timeout(30):
                await story(make(judges))

        asyncio.run(main())

    return run_story
