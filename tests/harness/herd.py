"""Many devices in one process that run the agent's own code; only their plugins are made up.

Each has its own folder, key, certificate and connection. No child process looks at the certificate,
since two hundred of those would be all that the machine does.
"""

from __future__ import annotations

import asyncio
import base64
import contextlib
import time
from dataclasses import replace
from typing import TYPE_CHECKING

from penguin_agent.agent import Agent
from penguin_agent.base import Base
from penguin_agent.config import Paths, Settings
from penguin_agent.failpoints import no_failpoint
from penguin_agent.identity import Device, Facts, Identity
from penguindome import certs
from penguindome.times import utc_now
from penguindome.tokens import decode_token
from tests.bench.simulated import enroll

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable
    from pathlib import Path


class Known:
    """Identities that need no child process to look at a certificate."""

    def __init__(self, identity: Identity) -> None:
        """Take the one identity there is."""
        self.known = identity

    async def load(self) -> Identity:
        """Return it."""
        return self.known


class Herd:
    """Many agents in this process, each with a folder of its own.

    Args:
        folder: where their folders are.
        group: where their loops run.
        settings: everybody's, but for the folders.
        collects: whether plugins run, too.
        plugins: the tree of their package; the device's own empty folder without one.
    """

    def __init__(
        self,
        folder: Path,
        group: asyncio.TaskGroup,
        *,
        settings: Settings | None = None,
        collects: bool = False,
        plugins: Path | None = None,
    ) -> None:
        """Make nothing yet; `join` does."""
        self.folder = folder
        self.group = group
        self.agents: list[Agent] = []
        self._tasks: dict[str, list[asyncio.Task[None]]] = {}
        self._settings = settings or Settings()
        self._collects = collects
        self._plugins = plugins

    async def join(self, line: str, number: int) -> None:
        """Enroll so many devices with one token, and start them."""
        token = decode_token(line)
        for one in await enroll(line, number):
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
            identity = Identity(device, one.key, one.certificate, dates)
            self.start(identity, f"host-{len(self.agents):05d}")

    def start(self, identity: Identity, hostname: str) -> Agent:
        """Start a device on its folder, which may have been another run's."""
        home = self.folder / identity.device.device_id
        (home / "state").mkdir(mode=0o700, parents=True, exist_ok=True)
        paths = Paths(
            state_dir=home,
            runtime_dir=home,
            plugins=self._plugins or home,
            local_plugins=home / "local",
        )
        base = Base(replace(self._settings, paths=paths), wall=utc_now, hostname=lambda: hostname)
        base.identities = Known(identity)  # type: ignore[assignment] -- all that is asked of it
        agent = Agent(base, identity, self.group, no_failpoint)
        self.agents.append(agent)
        loops = [agent.link.run, agent.submitter.run, agent.orders.updates.run]
        loops += [agent.orders.engine.run, agent.release.keeper.run]
        if self._collects:
            loops.append(agent.collecting.run)

        async def live(loop: Callable[[], Awaitable[None]], started: asyncio.Event) -> None:
            await started.wait()
            await loop()

        async def start(started: asyncio.Event) -> None:
            await agent.start()
            started.set()

        started = asyncio.Event()
        works = [start(started), *(live(loop, started) for loop in loops)]
        self._tasks[identity.device.device_id] = [self.group.create_task(one) for one in works]
        return agent

    async def stop(self, agent: Agent) -> None:
        """End one device's loops, as if its power went."""
        self.agents.remove(agent)
        await _end(self._tasks.pop(agent.identity.device.device_id))
        if agent.link.connection is not None:
            await agent.link.connection.close()
        # A process that ends lets go of its memory by itself.
        agent.orders.store.file.close()

    async def restart(self, agent: Agent) -> Agent:
        """Stop a device and start it again on its folder."""
        await self.stop(agent)
        return self.start(agent.identity, agent.base.hostname())

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
        """End all loops."""
        await _end([task for tasks in self._tasks.values() for task in tasks])


def connected(agent: Agent) -> bool:
    """Tell whether a device's stream is open."""
    return agent.link.connected.is_set()


async def _end(tasks: list[asyncio.Task[None]]) -> None:
    while running := [task for task in tasks if not task.done()]:
        for task in running:
            task.cancel()
        await asyncio.wait(running, timeout=1)
