"""Releases to fifty devices and a real one, ring after ring; a broken one stays in the first ring.

In the end a rollback brings everybody forward to what the first release had.

The herd runs the agent's own code for releases and orders, with gpgv, real plugins as processes,
the health gate and writes that last.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

import pytest

from tests.bench.wire import LIMITS
from tests.harness.fleet import Fleet
from tests.harness.herd import Herd, connected

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from tests.harness.agent import Agent

pytestmark = pytest.mark.timeout(400)
HERD, CANARIES = 50, 6
SECONDS = 150
TROUBLES = {"release-halted", "release-failed"}
OLD = '#!/bin/sh\necho \'{"from": "package"}\'\n'
GOOD = '#!/bin/sh\necho \'{"mood": "good"}\'\n'
BROKEN = "#!/bin/sh\nexit 3\n"


class Publisher:
    """Alice, a folder to publish, and what she sees."""

    def __init__(self, fleet: Fleet, tree: Path) -> None:
        self.fleet = fleet
        self.tree = tree

    def put(self, name: str, text: str) -> None:
        path = self.tree / "plugins" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
        path.chmod(0o755)

    async def run(self, *words: object) -> None:
        await asyncio.to_thread(self.fleet.alice.run, *words)

    async def publish(self, *words: object) -> int:
        answer = await asyncio.to_thread(
            self.fleet.alice.json, "release", "publish", self.tree, *words, "--yes"
        )
        number: int = answer["number"]
        return number

    def outputs(self, device_id: str) -> dict[str, Any]:
        """Return what a device's document says."""
        shown = self.fleet.alice.json("device", "show", device_id, "--plugin", "*")
        return {one["name"]: one["value"] for one in shown["outputs"]}

    async def says(self, device_id: str, number: int) -> None:
        """Wait until a device's document has a release and the output of its good plugin."""
        said: dict[str, Any] = {}
        for _ in range(SECONDS):
            said = await asyncio.to_thread(self.outputs, device_id)
            if said["agent"]["release"] == number and said.get("mood") == {"mood": "good"}:
                return
            # An ordinary report would take up to a minute.
            await self.run("device", "collect", device_id)
            await asyncio.sleep(1)
        raise AssertionError(said)

    async def issues(self) -> set[str]:
        listed = await asyncio.to_thread(self.fleet.alice.json, "issue", "list")
        return {one["name"] for one in listed["issues"]}

    async def shown(self, number: int) -> dict[str, Any]:
        return await asyncio.to_thread(self.fleet.alice.json, "release", "show", number)

    async def until(self, number: int, is_so: Callable[[dict[str, Any]], bool]) -> dict[str, Any]:
        """Wait until a release is so; return it."""
        found: dict[str, Any] = {}
        for _ in range(SECONDS):
            found = await self.shown(number)
            if is_so(found):
                return found
            await asyncio.sleep(1)
        raise AssertionError(f"{found['state']} {found['rings']} {found['targets'][:3]}")


def healthy(ring: int, number: int) -> Callable[[dict[str, Any]], bool]:
    return lambda found: found["rings"][ring]["healthy"] >= number


async def live(publisher: Publisher, folder: Path, lines: tuple[str, str], real: Agent) -> None:
    package = folder / "package"
    package.mkdir(parents=True)
    (package / "old").write_text(OLD)
    (package / "old").chmod(0o755)
    async with asyncio.TaskGroup() as group:
        herd = Herd(folder / "herd", group, collects=True, plugins=package)
        await herd.join(lines[0], CANARIES)
        await herd.join(lines[1], HERD - CANARIES)
        await herd.wait(connected, 90)
        await herd.wait(lambda agent: "old" in agent.spool.current.outputs, SECONDS)
        await reported(publisher, herd)
        first = await ring_by_ring(publisher)
        await taken_by(herd, first)
        await reported(publisher, herd)
        await publisher.says(real.device_id(), first)
        await broken_in_one_ring(publisher, herd, first)
        await rolled_back(publisher, herd, real, first)
        await herd.end()


async def reported(publisher: Publisher, herd: Herd) -> None:
    """Wait until the server has all that devices have found; by themselves they take a minute."""
    await herd.wait(connected, SECONDS)
    await publisher.run("device", "collect", "*")
    await herd.wait(lambda agent: agent.spool.depth == 0, SECONDS)


async def ring_by_ring(publisher: Publisher) -> int:
    """Publish a good release; returns its number once all have it."""
    publisher.put("mood", GOOD)
    rings = ("--ring", "canary=label:canary", "--ring", "half=50%")
    number = await publisher.publish(*rings)
    found = await publisher.until(number, healthy(0, CANARIES))
    assert [one["healthy"] for one in found["rings"]] == [CANARIES, 0, 0]
    assert [one["open"] for one in found["rings"]] == [True, False, False]
    await publisher.run("release", "advance", number)
    half = found["rings"][1]["devices"]
    assert half > 0
    found = await publisher.until(number, healthy(1, half))
    assert found["rings"][2]["healthy"] == 0
    await publisher.run("release", "advance", number)
    await publisher.until(number, lambda found: found["state"] == "complete")
    return number


async def taken_by(herd: Herd, number: int) -> None:
    """Every device of the herd runs the release, and no plugin of its package any more."""
    await herd.wait(lambda agent: agent.releases.words()["name"] == str(number), SECONDS)
    await herd.wait(lambda agent: set(agent.spool.current.outputs) == {"agent", "mood"}, SECONDS)


async def broken_in_one_ring(publisher: Publisher, herd: Herd, before: int) -> None:
    """A release that breaks a plugin: the canaries go back by themselves, nobody else gets it."""
    publisher.put("mood", BROKEN)
    number = await publisher.publish("--ring", "canary=label:canary", "--automatic")
    found = await publisher.until(number, lambda found: found["state"] == "halted")
    found = await publisher.until(number, lambda found: found["rings"][0]["under_way"] == 0)
    whole = [one for one in found["targets"] if not one["part"]]
    assert {one["state"] for one in whole} == {"failed"}
    assert len(whole) <= CANARIES
    assert found["rings"][1]["healthy"] == found["rings"][1]["failed"] == 0
    await herd.wait(lambda agent: agent.releases.words()["name"] == str(before), SECONDS)
    assert all(target["details"]["plugins"] == ["mood"] for target in whole)
    assert all(target["details"]["returned_to"] == str(before) for target in whole)
    assert await publisher.issues() >= TROUBLES
    # The canaries' documents say which release they run again, and what it says there.
    await publisher.says(whole[0]["device_id"], before)


async def rolled_back(publisher: Publisher, herd: Herd, real: Agent, before: int) -> None:
    """Going back is going on: everybody takes the former contents under a new number."""
    broken = (await publisher.shown(0))["number"]
    words = ("release", "rollback", before, "--reason", "mood fails", "--yes")
    number = (await asyncio.to_thread(publisher.fleet.alice.json, *words))["number"]
    assert number == broken + 1
    found = await publisher.until(number, lambda found: found["state"] == "complete")
    assert [one["healthy"] for one in found["rings"]] == [HERD + 1]
    former, again = await publisher.shown(before), await publisher.shown(broken)
    assert found["manifest_hash"] == former["manifest_hash"]
    assert again["state"] == "superseded"
    assert again["rings"][1]["healthy"] == again["rings"][1]["failed"] == 0
    await herd.wait(lambda agent: agent.releases.words()["name"] == str(number), SECONDS)
    await publisher.says(real.device_id(), number)
    for _ in range(SECONDS):
        if not (left := TROUBLES & await publisher.issues()):
            return
        await asyncio.sleep(1)
    raise AssertionError(left)


def test_a_broken_release_stays_in_the_first_ring_and_a_good_one_reaches_all(tmp_path):
    with Fleet(settings=LIMITS) as fleet:
        canary = fleet.alice.token("--uses", str(CANARIES), "--label", "canary")
        line = fleet.alice.token("--uses", str(HERD))
        real = fleet.device(plugins=fleet.plugins(old=OLD), token=line)
        fleet.wait_for_report(real, 60)
        publisher = Publisher(fleet, tmp_path / "tree")
        asyncio.run(live(publisher, tmp_path / "folders", (canary, line), real))
        assert set(publisher.outputs(real.device_id())) == {"agent", "mood"}
        entries = fleet.alice.json("trail", "--key", "plugins.old", "--limit", "1000")["entries"]
        gone = [one["device_id"] for one in entries if one["type"] == "delete"]
        assert len(gone) == len(set(gone)) == HERD + 1
        assert {one["old"]["from"] for one in entries if one["type"] == "delete"} == {"package"}
