"""Patches to a herd: put, refused, called off, superseded, and told of while they wait.

The devices run the agent's own code for patches and orders, with gpgv, real plugins as processes
and writes that last; some are away when a patch is put, and come back after it was called off,
or after a release took its place.
"""

from __future__ import annotations

import asyncio
import os
import signal
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any

import pytest

from tests.bench.wire import LIMITS
from tests.harness.fleet import Fleet
from tests.harness.herd import Herd, connected
from tests.harness.time_travel import Time

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable
    from pathlib import Path

    from penguin_agent.agent import Agent

pytestmark = pytest.mark.timeout(240)
HERD, AWAY = 8, 3
SECONDS = 90
NOT_NOW = 6
OLD = "#!/bin/sh\necho 1\n"
EXTRA = '#!/bin/sh\necho \'{"extra": "%s"}\'\n'
GOES, STAYS = "called-off", "kept"


class Desk:
    """Alice, and what she has of a herd."""

    def __init__(self, fleet: Fleet, folder: Path) -> None:
        self.alice = fleet.alice
        self.folder = folder

    def file(self, name: str, text: str) -> Path:
        path = self.folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
        path.chmod(0o755)
        return path

    async def json(self, *words: object) -> dict[str, Any]:
        return await asyncio.to_thread(self.alice.json, *words)

    async def put(self, path: str, text: str, *selectors: str) -> str:
        """Have a patch put; returns its order's id."""
        source = self.file("source", text)
        answer = await self.json("patch", "put", path, source, *selectors, "--ttl", "20d", "--yes")
        order_id: str = answer["order_id"]
        return order_id

    async def refused(self, path: str, text: str, *selectors: str) -> str:
        """Have a patch refused; returns what is said."""
        words = ("patch", "put", path, self.file("source", text), *selectors, "--yes")
        done = await asyncio.to_thread(self.alice.try_run, *words)
        assert done.returncode == NOT_NOW, done.stdout + done.stderr
        return done.stderr

    async def targets(self, order_id: str) -> dict[str, dict[str, Any]]:
        """Return an order's targets by hostname."""
        shown = await self.json("order", "show", order_id)
        return {one["hostname"]: one for one in shown["targets"]}

    async def settled(self, order_id: str, **expected: int) -> dict[str, dict[str, Any]]:
        """Wait until so many targets are in these states; returns them by hostname."""
        found: dict[str, dict[str, Any]] = {}
        for _ in range(SECONDS):
            found = await self.targets(order_id)
            states = [one["state"] for one in found.values()]
            if {one: states.count(one) for one in states} == expected:
                return found
            await asyncio.sleep(1)
        raise AssertionError(f"{found} instead of {expected}")

    async def complete(self, number: str) -> None:
        """Wait until a release is everywhere, by what the devices said of it."""
        shown: dict[str, Any] = {}
        for _ in range(SECONDS):
            shown = await self.json("release", "show", number)
            if shown["state"] == "complete":
                return
            await asyncio.sleep(1)
        raise AssertionError(shown)

    async def outputs(self, agent: Agent) -> dict[str, Any]:
        """Return what a device's document says."""
        device_id = agent.identity.device.device_id
        shown = await self.json("device", "show", device_id, "--plugin", "*")
        return {one["name"]: one["value"] for one in shown["outputs"]}

    async def until(self, agent: Agent, is_so: Callable[[dict[str, Any]], bool]) -> dict[str, Any]:
        """Wait until a device's document is so; ordinary reports would take a minute."""
        found: dict[str, Any] = {}
        for _ in range(SECONDS):
            await self.json("device", "collect", agent.identity.device.device_id)
            found = await self.outputs(agent)
            if is_so(found):
                return found
            await asyncio.sleep(1)
        raise AssertionError(found)

    async def pending(self) -> dict[str, dict[str, Any]]:
        """Return the open issues about patches that wait, by hostname."""
        listed = await self.json("issue", "list")
        found = [one for one in listed["issues"] if one["name"] == "pending-patches"]
        return {one["hostname"]: one for one in found}

    async def pending_on(self, *hosts: str) -> dict[str, dict[str, Any]]:
        """Wait until issues are open for these hosts and no others."""
        found: dict[str, dict[str, Any]] = {}
        for _ in range(SECONDS):
            found = await self.pending()
            if set(found) == set(hosts):
                return found
            await asyncio.sleep(1)
        raise AssertionError(f"{set(found)} instead of {set(hosts)}")


def host(agent: Agent) -> str:
    return agent.base.hostname()


@asynccontextmanager
async def herd_of(desk: Desk, line: str, number: int) -> AsyncIterator[Herd]:
    """Yield devices that have reported what their package brought."""
    desk.file("package/old", OLD)
    async with asyncio.TaskGroup() as group:
        plugins = desk.folder / "package"
        herd = Herd(desk.folder / "herd", group, collects=True, plugins=plugins)
        await herd.join(line, number)
        await herd.wait(connected, SECONDS)
        await herd.wait(lambda agent: "old" in agent.spool.current.outputs, SECONDS)
        yield herd
        await herd.end()


async def put_and_called_off(desk: Desk, line: str) -> None:
    async with herd_of(desk, line, HERD) as herd:
        away = herd.agents[:AWAY]
        for agent in away:
            await herd.stop(agent)
        here, names = herd.agents[0], [host(agent) for agent in away]
        patch = await desk.put("plugins/extra", EXTRA % GOES, "*")
        found = await desk.settled(patch, succeeded=HERD - AWAY, queued=AWAY)
        assert {name for name, one in found.items() if one["state"] == "queued"} == set(names)
        said = await desk.until(here, lambda outputs: "extra" in outputs)
        assert said["extra"] == {"extra": GOES}
        await refuses_another(desk, patch, names, here)
        await desk.pending_on(*names)
        back, called_off, last = away
        off = await desk.json("patch", "cancel", "plugins/extra", host(called_off), "--yes")
        assert off["cancels_order_ids"] == [patch]
        await desk.settled(patch, succeeded=HERD - AWAY, queued=AWAY - 1, cancelled=1)
        herd.start(back.identity, host(back))
        await desk.settled(patch, succeeded=HERD - AWAY + 1, queued=1, cancelled=1)
        again = herd.start(called_off.identity, host(called_off))
        await herd.wait(connected, SECONDS)
        await superseded(desk, herd, patch, last, again)


async def refuses_another(desk: Desk, patch: str, names: list[str], here: Agent) -> None:
    """The same file waits on some: they and the patch are named, and nobody gets anything."""
    said = await desk.refused("plugins/extra", EXTRA % STAYS, "*")
    for word in (patch, "plugins/extra", *names):
        assert word in said, said
    assert host(here) not in said
    assert (await desk.outputs(here))["extra"] == {"extra": GOES}
    other = await desk.put("plugins/extra", EXTRA % STAYS, host(here))
    await desk.settled(other, succeeded=1)
    await desk.until(here, lambda outputs: outputs["extra"] == {"extra": STAYS})


async def superseded(desk: Desk, herd: Herd, patch: str, last: Agent, again: Agent) -> None:
    """A release with the same file ends the patch where it waits, and lasts everywhere."""
    assert "extra" not in again.spool.current.outputs
    assert not again.orders.store.find(patch)
    desk.file("tree/plugins/extra", EXTRA % "of the release")
    published = await desk.json("release", "publish", desk.folder / "tree", "--yes")
    found = await desk.settled(patch, succeeded=HERD - AWAY + 1, cancelled=2)
    assert found[host(last)]["reason"] == f"superseded by release {published['number']}"
    assert found[host(again)]["reason"].startswith("cancelled by order ")
    await desk.pending_on()
    herd.start(last.identity, host(last))
    await herd.wait(lambda agent: agent.releases.words()["name"] == "1", SECONDS)
    for agent in (herd.agents[0], again, herd.agents[-1]):
        said = await desk.until(agent, lambda outputs: "old" not in outputs)
        assert said["extra"] == {"extra": "of the release"}
        assert said["agent"]["release"] == 1
    assert not herd.agents[-1].orders.store.find(patch)
    await desk.complete("1")
    assert (await desk.json("patch", "list"))["patches"] == []


def test_patches_are_refused_called_off_and_superseded_where_they_wait(tmp_path):
    with Fleet(settings=LIMITS) as fleet:
        line = fleet.alice.token("--uses", str(HERD))
        asyncio.run(put_and_called_off(Desk(fleet, tmp_path), line))


async def told_after_its_grace(desk: Desk, line: str, time: Time) -> None:
    async with herd_of(desk, line, 2) as herd:
        away = herd.agents[0]
        await herd.stop(away)
        patch = await desk.put("plugins/extra", EXTRA % STAYS, "*")
        await desk.settled(patch, succeeded=1, queued=1)
        waiting = (await desk.pending_on(host(away)))[host(away)]
        assert waiting["quiet"] == "grace"
        evidence = (await desk.json("issue", "show", waiting["issue_id"]))["issue"]["evidence"]
        assert (evidence["patches"], evidence["paths"]) == ([patch], ["plugins/extra"])
        # Four working hours are over after a weekend and a holiday at the latest.
        time.go(5)
        waiting = (await desk.pending_on(host(away)))[host(away)]
        assert waiting["quiet"] == ""
        back = herd.start(away.identity, host(away))
        await desk.settled(patch, succeeded=2)
        await desk.pending_on()
        assert "extra" in (await desk.until(back, lambda outputs: "extra" in outputs))


def test_people_are_told_of_a_patch_that_waits_once_its_grace_is_over(tmp_path):
    fleet = Fleet(settings=LIMITS)
    time = Time(fleet.folder)
    fleet.server.environment_more = time.environment()
    with fleet:
        line = fleet.alice.token("--uses", "2")
        asyncio.run(told_after_its_grace(Desk(fleet, tmp_path), line, time))


def test_a_patch_that_a_sleeping_device_was_sent_does_not_outlive_the_release(tmp_path):
    with Fleet(settings=LIMITS) as fleet:
        desk = Desk(fleet, tmp_path)
        agent = fleet.device(plugins=fleet.plugins(old=OLD), token=fleet.alice.token())
        fleet.wait_for_report(agent, SECONDS)
        device_id, process = agent.device_id(), agent.process
        assert process is not None
        os.kill(process.pid, signal.SIGSTOP)
        try:
            # It takes longer to be judged than the release that comes behind it.
            large = EXTRA % STAYS + "#" * 100_000 + "\n"
            patch = asyncio.run(desk.put("plugins/extra", large, device_id))
            asyncio.run(desk.settled(patch, sent=1))
            desk.file("tree/plugins/extra", EXTRA % "of the release")
            fleet.alice.run("release", "publish", tmp_path / "tree", "--yes")
        finally:
            os.kill(process.pid, signal.SIGCONT)
        process.wait_until(
            lambda: fleet.alice.json("release", "show", 1)["state"] == "complete",
            SECONDS,
            "the release is not taken",
        )
        ((_, target),) = asyncio.run(desk.targets(patch)).items()
        assert target["state"] in {"succeeded", "cancelled"}
        assert agent.status()["release"]["name"] == "1"
