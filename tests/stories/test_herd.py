"""A server with 200 devices is killed and comes back: all are there within a minute, with all.

The devices run the agent's own code (link, ratchet, trust, spool, submitter); only what plugins say
is made up, and no child process looks at the certificate.
"""

from __future__ import annotations

import asyncio
import base64
import contextlib
import time
from dataclasses import replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING

import pytest

from penguin_agent.agent import Agent, Base
from penguin_agent.config import Paths, Settings
from penguin_agent.failpoints import no_failpoint
from penguin_agent.identity import Device, Facts, Identity
from penguindome import certs
from penguindome.times import utc_now
from penguindome.tokens import decode_token
from tests.bench.simulated import enroll
from tests.bench.wire import LIMITS
from tests.harness.fleet import Fleet
from tests.harness.reporter import output

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

pytestmark = pytest.mark.timeout(300)
DEVICES = 200
SPOOLED = 3
LONGEST_RETURN_SECONDS = 60
# Devices with a backlog are asked to come one after the other.
LONGEST_HANDING_IN_SECONDS = 120
BOOT = "boot-1"


class Known:
    """Identities that need no child process to look at a certificate."""

    def __init__(self, identity):
        self.known = identity

    async def load(self):
        return self.known


class Herd:
    """Two hundred agents in this process, each with a folder of its own."""

    def __init__(self, folder: Path, group: asyncio.TaskGroup):
        self.folder = folder
        self.group = group
        self.agents: list[Agent] = []
        self.tasks: list[asyncio.Task] = []

    async def join(self, line: str) -> None:
        token = decode_token(line)
        for one in await enroll(line, DEVICES):
            await one.channel.close()
            facts = certs.parse_certificate(one.certificate)
            device = Device(
                device_id=one.reporter.device_id,
                fleet=facts.uris[0].split("/")[2],
                host=token.host,
                main_port=token.main_port,
                bootstrap_port=token.bootstrap_port,
                anchor=base64.b64encode(token.anchor).decode(),
                trust_hash=token.trust_hash.hex(),
            )
            dates = Facts(facts.serial, facts.not_before, facts.not_after, "")
            self._add(Identity(device, one.key, one.certificate, dates))

    def _add(self, identity: Identity) -> None:
        home = self.folder / identity.device.device_id
        (home / "state").mkdir(mode=0o700, parents=True)
        paths = Paths(state_dir=home, runtime_dir=home, plugins=home, local_plugins=home)
        base = Base(replace(Settings(), paths=paths), wall=utc_now)
        base.identities = Known(identity)
        agent = Agent(base, identity, self.group, no_failpoint)
        self.agents.append(agent)
        loops = (agent.link.run, agent.submitter.run)
        self.tasks += [self.group.create_task(loop()) for loop in loops]

    def collect(self, number: int) -> None:
        now = datetime.now(UTC)
        for agent in self.agents:
            made = output("counter", {"count": number}, collected_time=now)
            agent.spool.record((made,), (), now=now, boot_id=BOOT)
            agent.submitter.wake(urgent=True)

    async def wait(self, done: Callable[[Agent], bool], seconds: float) -> float:
        """Wait until all agents are so; return the seconds."""
        started = time.monotonic()
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                while not all(map(done, self.agents)):  # noqa: ASYNC110 -- many places
                    await asyncio.sleep(0.1)
        left = [one for one in self.agents if not done(one)]
        trouble = left and (left[0].link.trouble, left[0].submitter.trouble)
        assert not left, f"{len(left)} are not there after {seconds} s: {trouble}"
        return time.monotonic() - started

    async def end(self) -> None:
        while running := [task for task in self.tasks if not task.done()]:
            for task in running:
                task.cancel()
            await asyncio.wait(running, timeout=1)


def connected(agent: Agent) -> bool:
    return agent.link.connected.is_set()


def away(agent: Agent) -> bool:
    return not connected(agent)


def emptied(agent: Agent) -> bool:
    return connected(agent) and not agent.spool.depth


async def live(fleet: Fleet, folder: Path, line: str) -> tuple[float, float, list]:
    """Return in how many seconds all streams, and then all reports, were back; and the trail."""
    async with asyncio.TaskGroup() as group:
        herd = Herd(folder, group)
        await herd.join(line)
        herd.collect(0)
        await herd.wait(emptied, LONGEST_HANDING_IN_SECONDS)
        await asyncio.to_thread(fleet.server.process.kill)
        for number in range(1, SPOOLED + 1):
            herd.collect(number)
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
