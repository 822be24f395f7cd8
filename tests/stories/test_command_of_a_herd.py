"""One command for thirty devices, a third of them away: each ends in one state, and runs once.

The devices run the agent's own code for orders, with gpgv, real programs and writes that last; only
their plugins are made up.
"""

from __future__ import annotations

import asyncio
import getpass
import json
import subprocess
from collections import Counter
from typing import TYPE_CHECKING, Any

import pytest

from tests.bench.wire import LIMITS
from tests.harness.fleet import Fleet
from tests.harness.herd import Herd, connected
from tests.harness.process import wait_until

if TYPE_CHECKING:
    from pathlib import Path

    from penguin_agent.agent import Agent

pytestmark = pytest.mark.timeout(240)
HERE, AWAY, BACK = 20, 10, 5
ME = getpass.getuser()
SETTLE_SECONDS = 120
STILL_WAITING = 8
BIG_BYTES = 10 * 1024 * 1024


async def states(fleet: Fleet, order_id: str) -> dict[str, str]:
    shown = await asyncio.to_thread(fleet.alice.json, "command", "show", order_id)
    return {one["device_id"]: one["state"] for one in shown["targets"]}


async def settled(fleet: Fleet, order_id: str, expected: Counter[str]) -> dict[str, str]:
    """Wait until the targets are in these states."""
    found: dict[str, str] = {}
    for _ in range(SETTLE_SECONDS):
        found = await states(fleet, order_id)
        if Counter(found.values()) == expected:
            return found
        await asyncio.sleep(0.5)
    raise AssertionError(f"{Counter(found.values())} instead of {expected}")


async def ordered(fleet: Fleet, *words: object) -> str:
    """Have a command sent and not waited for; returns its order's id."""
    options = ("-o", "json", "--user", ME, "--yes", "--detach")
    done = await asyncio.to_thread(fleet.alice.try_run, "run", *options, *words)
    assert done.returncode in {0, STILL_WAITING}, done.stderr
    order_id: str = json.loads(done.stdout)["order_id"]
    return order_id


def marks(folder: Path) -> Counter[str]:
    """Return how often each device ran something, by its folder's name."""
    lines = [line for one in folder.iterdir() for line in one.read_text().split()]
    return Counter(lines)


async def with_some_away(fleet: Fleet, folder: Path, marked: Path, line: str) -> None:
    async with asyncio.TaskGroup() as group:
        herd = Herd(folder, group)
        await herd.join(line, HERE + AWAY)
        await herd.wait(connected, 60)
        sleeping = [await stopped(herd, agent) for agent in herd.agents[HERE:]]
        order_id = await ordered(
            fleet, "*", "--ttl", "25s", "--", f'echo "$PD_STATE_DIR" >> {marked}/$PD_ORDER_ID'
        )
        await settled(fleet, order_id, Counter(succeeded=HERE, queued=AWAY))
        for agent in sleeping[:BACK]:
            herd.start(agent.identity, agent.base.hostname())
        await settled(fleet, order_id, Counter(succeeded=HERE + BACK, queued=AWAY - BACK))
        ended = await settled(fleet, order_id, Counter(succeeded=HERE + BACK, expired=AWAY - BACK))
        for agent in sleeping[BACK:]:
            herd.start(agent.identity, agent.base.hostname())
        await herd.wait(connected, 60)
        await asyncio.sleep(2)
        assert await states(fleet, order_id) == ended
        assert set(marks(marked).values()) == {1}
        assert len(marks(marked)) == HERE + BACK
        await herd.end()


async def stopped(herd: Herd, agent: Agent) -> Agent:
    await herd.stop(agent)
    return agent


def test_devices_that_are_away_get_a_command_in_time_or_never(tmp_path):
    marked = tmp_path / "marks"
    marked.mkdir()
    with Fleet(settings=LIMITS) as fleet:
        line = fleet.alice.token("--uses", str(HERE + AWAY))
        asyncio.run(with_some_away(fleet, tmp_path / "herd", marked, line))


async def called_off(fleet: Fleet, folder: Path, marked: Path, line: str) -> None:
    async with asyncio.TaskGroup() as group:
        herd = Herd(folder, group)
        await herd.join(line, 6)
        await herd.wait(connected, 60)
        away = await stopped(herd, herd.agents[0])
        gone = herd.agents[0].identity.device.device_id
        quick = f'[ "$(basename "$PD_STATE_DIR")" = {gone} ] && exit 0; '
        script = quick + f'echo "$PD_STATE_DIR" >> {marked}/$PD_ORDER_ID; sleep 300 & wait'
        order_id = await ordered(fleet, "*", "--", script)
        await settled(fleet, order_id, Counter(queued=1, succeeded=1, running=4))
        cancel = ("command", "cancel", order_id, "--yes", "--reason", "enough")
        await asyncio.to_thread(fleet.alice.try_run, *cancel)
        found = await settled(fleet, order_id, Counter(succeeded=1, cancelled=5))
        assert found[gone] == "succeeded"
        herd.start(away.identity, away.base.hostname())
        await herd.wait(connected, 60)
        await asyncio.sleep(2)
        assert await states(fleet, order_id) == found
        assert set(marks(marked).values()) == {1}
        assert len(marks(marked)) == 4
        await herd.end()


def test_a_command_is_called_off_where_it_runs_and_where_it_waits(tmp_path):
    marked = tmp_path / "marks"
    marked.mkdir()
    with Fleet(settings=LIMITS) as fleet:
        line = fleet.alice.token("--uses", "6")
        asyncio.run(called_off(fleet, tmp_path / "herd", marked, line))
    left = subprocess.run(["pgrep", "-f", "^sleep 300$"], capture_output=True, check=False)
    assert not left.stdout


def test_ten_megabytes_come_whole_on_both_streams(tmp_path):
    del tmp_path
    script = f"head -c {BIG_BYTES} /dev/zero | tr '\\0' a; echo error >&2"
    with Fleet(settings=LIMITS) as fleet:
        agent = fleet.device(
            plugins=fleet.plugins(nothing="#!/bin/sh\necho 1\n"), token=fleet.alice.token()
        )
        fleet.wait_for_report(agent, 60)
        device = agent.device_id()
        order_id = asyncio.run(ordered(fleet, device, "--", script))
        asyncio.run(settled(fleet, order_id, Counter(succeeded=1)))
        target = wait_for_output(fleet, order_id)
        assert (target["stdout_bytes"], target["truncated"]) == (BIG_BYTES, False)
        printed = fleet.alice.run("command", "output", order_id, device, "--stdout")
        assert len(printed) == BIG_BYTES
        assert set(printed) == {"a"}
        errors = fleet.alice.try_run("command", "output", order_id, device, "--stderr")
        assert (errors.stdout, errors.stderr) == ("", "error\n")


def wait_for_output(fleet: Fleet, order_id: str) -> dict[str, Any]:
    """Wait until all that was printed is on the server; returns the target."""

    def arrived() -> dict[str, Any] | None:
        (target,) = fleet.alice.json("command", "show", order_id)["targets"]
        return target if target["stdout_bytes"] == BIG_BYTES else None

    return wait_until(arrived, SETTLE_SECONDS, "ten megabytes have arrived")
