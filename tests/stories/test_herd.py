"""A server with 200 devices is killed and comes back: all are there within a minute, with all.

The devices run the agent's own code (link, ratchet, trust, spool, submitter); only what plugins say
is made up, and no child process looks at the certificate.
"""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime
from typing import TYPE_CHECKING

import pytest

from tests.bench.wire import LIMITS
from tests.harness.fleet import Fleet
from tests.harness.herd import Herd, connected
from tests.harness.reporter import output

if TYPE_CHECKING:
    from pathlib import Path

    from penguin_agent.agent import Agent

pytestmark = pytest.mark.timeout(300)
DEVICES = 200
SPOOLED = 3
LONGEST_RETURN_SECONDS = 60
# Devices with a backlog are asked to come one after the other.
LONGEST_HANDING_IN_SECONDS = 120
BOOT = "boot-1"


def collect(herd: Herd, number: int) -> None:
    now = datetime.now(UTC)
    for agent in herd.agents:
        made = output("counter", {"count": number}, collected_time=now)
        agent.spool.record((made,), (), now=now, boot_id=BOOT)
        agent.submitter.wake(urgent=True)


def away(agent: Agent) -> bool:
    return not connected(agent)


def emptied(agent: Agent) -> bool:
    return connected(agent) and not agent.spool.depth


async def live(fleet: Fleet, folder: Path, line: str) -> tuple[float, float, list]:
    """Return in how many seconds all streams, and then all reports, were back; and the trail."""
    async with asyncio.TaskGroup() as group:
        herd = Herd(folder, group)
        await herd.join(line, DEVICES)
        collect(herd, 0)
        await herd.wait(emptied, LONGEST_HANDING_IN_SECONDS)
        await asyncio.to_thread(fleet.server.process.kill)
        for number in range(1, SPOOLED + 1):
            collect(herd, number)
        await herd.wait(away, 30)
        await asyncio.to_thread(fleet.server.start)
        streams = await herd.wait(connected, LONGEST_RETURN_SECONDS)
        reports = await herd.wait(emptied, LONGEST_HANDING_IN_SECONDS)
        # In here: what a thread of this loop has started ends with it.
        words = ("trail", "--key", "plugins.counter.count", "--limit", "10000")
        entries = (await asyncio.to_thread(fleet.alice.json, *words))["entries"]
        await herd.end()
    return streams, reports, entries


def test_two_hundred_devices_come_back_with_every_report_once(tmp_path, record_property):
    with Fleet(settings=LIMITS) as fleet:
        line = fleet.alice.token("--uses", str(DEVICES))
        streams, reports, entries = asyncio.run(live(fleet, tmp_path, line))
        assert "Traceback" not in fleet.server.log()
    record_property("streams_seconds", round(streams, 1))
    record_property("reports_seconds", round(reports, 1))
    found: dict[str, list] = {}
    for one in reversed(entries):
        found.setdefault(one["device_id"], []).append((one["old"], one["new"]))
    expected = [(number, number + 1) for number in range(SPOOLED)]
    assert len(found) == DEVICES
    assert all(changes == expected for changes in found.values())
