"""Kill agent, penguind and mongod at random points while reports flow, then count.

What must hold afterwards: for each device the trail of its counter is one unbroken, ordered chain,
each change once; the state is what the device has last seen; the ledger's chain is whole.

Run: python -m tests.chaos.run [--rounds 100] [--seed 1]
"""

from __future__ import annotations

import argparse
import contextlib
import itertools
import random
import threading
import time
from collections import Counter
from typing import TYPE_CHECKING, Any

import psutil

from penguin_agent.control import ask
from penguindome.errors import PenguinDomeError
from tests.chaos.reporters import Reporters
from tests.harness.fleet import Fleet
from tests.harness.process import wait_until

if TYPE_CHECKING:
    from tests.harness.agent import Agent

SETTINGS = """
[limits]
reports_per_minute = 100000
report_burst = 100000
report_bytes_per_day = 1099511627776
enroll_per_minute = 1000000
"""
AGENT_SETTINGS = """
[schedule]
collect_interval_minutes = 60
submit_interval_minutes = 1
"""
# Counts its own runs; written beside and renamed, so that a kill leaves the old or the new number.
COUNTER = """#!/bin/sh
count=$(cat "{file}" 2>/dev/null || echo 0)
count=$((count + 1))
echo "$count" > "{file}.next" && mv "{file}.next" "{file}"
echo "{{\\"count\\": $count}}"
"""
VICTIMS = ("agent", "agent", "penguind", "penguind", "mongod", "both")


class Prodder:
    """Asks real agents for collections all the time, whether they run or not."""

    def __init__(self, agents: list[Agent]) -> None:
        """Start asking."""
        self._agents = agents
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name="prodder")
        self._thread.start()

    def stop(self) -> None:
        """Ask no more."""
        self._stop.set()
        self._thread.join(30)

    def _run(self) -> None:
        while not self._stop.wait(0.15):
            for agent in self._agents:
                with contextlib.suppress(PenguinDomeError):
                    ask(agent.folder / "run/agent.sock", "collect-now", plugins=["counter"])


def chaos(rounds: int, seed: int) -> str:
    """Kill so many times; return the figures.

    Raises:
        AssertionError: Something was lost, doubled or out of order.
    """
    chance = random.Random(seed)
    with Fleet(settings=SETTINGS) as fleet:
        agents = [_counting_device(fleet) for _ in range(2)]
        reporters = Reporters(fleet.alice.token("--uses", "100"), 4)
        prodder = Prodder(agents)
        killed: Counter[str] = Counter()
        try:
            for _ in range(rounds):
                time.sleep(chance.uniform(0.05, 1.5))
                victim = chance.choice(VICTIMS)
                killed[victim] += 1
                kill(fleet, victim, chance)
        finally:
            prodder.stop()
            numbers = reporters.stop()
        changes = sum(check_simulated(fleet, *pair) for pair in numbers.items())
        changes += sum(_check_agent(fleet, agent) for agent in agents)
        fleet.alice.run("ledger", "verify")
        return f"{rounds} kills {dict(killed)}: {changes} changes, none lost, doubled or disordered"


def _counting_device(fleet: Fleet) -> Agent:
    tree = fleet.plugins()
    (tree / "counter").write_text(COUNTER.format(file=tree / "count"), encoding="utf-8")
    (tree / "counter").chmod(0o755)
    agent = fleet.device(plugins=tree, settings=AGENT_SETTINGS, token=fleet.alice.token())
    fleet.wait_for_report(agent)
    return agent


def kill(fleet: Fleet, victim: str, chance: random.Random) -> None:
    """Kill -9 one program, or penguind and its mongod, and start what nobody else starts."""
    if victim == "agent":
        agent = chance.choice(fleet.agents)
        assert agent.process is not None
        agent.process.kill()
        agent.start()
        return
    assert fleet.server.process is not None
    if victim in ("mongod", "both"):
        for child in fleet.server.process.descendants():
            with contextlib.suppress(psutil.NoSuchProcess):
                if child.name() == "mongod":
                    child.kill()
    if victim in ("penguind", "both"):
        fleet.server.process.kill()
        fleet.server.start()


def check_simulated(fleet: Fleet, device_id: str, last: int) -> int:
    """Hold the trail against what the device knows to be acknowledged: each number, once."""
    changes = _changes(fleet, device_id)
    expected = [(number - 1, number) for number in range(1, last + 1)]
    assert changes == expected, f"{device_id}: {_first_difference(changes, expected)}"
    return len(changes)


def _check_agent(fleet: Fleet, agent: Agent) -> int:
    """Hold the trail and the state against the agent's own; collections may have been merged."""
    device_id = agent.device_id()
    socket = agent.folder / "run/agent.sock"

    def settled() -> bool:
        with contextlib.suppress(PenguinDomeError):
            status: dict[str, Any] = ask(socket, "status")
            return bool(status["connected"]) and status["spool_depth"] == 0
        return False

    assert agent.process is not None
    agent.process.wait_until(settled, 120, "the agent's spool does not empty")
    # A collection that was asked for before the end may still come in between the two questions.
    wait_until(
        lambda: _held(fleet, agent) == _changes(fleet, device_id)[-1][1], 30, "state differs"
    )
    changes = _changes(fleet, device_id)
    for (_, new), (old, _) in itertools.pairwise(changes):
        assert new == old, f"{device_id}: {new} is followed by a change from {old}"
    assert changes == sorted(changes), f"{device_id}: the order is not kept"
    return len(changes)


def _held(fleet: Fleet, agent: Agent) -> int:
    """Return the counter that the server holds."""
    outputs = {one["name"]: one for one in fleet.shown(agent)["outputs"]}
    return int(outputs["counter"]["value"]["count"])


def _changes(fleet: Fleet, device_id: str) -> list[tuple[int, int]]:
    """Return (old, new) of the counter's changes, oldest first."""
    words = ("trail", device_id, "--key", "plugins.counter.count", "--limit", "10000")
    answer = fleet.alice.json(*words)
    assert isinstance(answer, dict)
    assert not answer["more"], "more changes than one answer holds; use fewer rounds"
    return [(one["old"], one["new"]) for one in reversed(answer["entries"])]


def _first_difference(found: list[Any], expected: list[Any]) -> str:
    pairs = zip(found, expected, strict=False)
    at = next((n for n, (one, other) in enumerate(pairs) if one != other), len(found))
    return (
        f"{len(found)} changes for {len(expected)} reports; at {at}: {found[at - 1 : at + 3]} "
        f"instead of {expected[at - 1 : at + 3]}"
    )


def main() -> None:
    """Print the figures."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=100)
    parser.add_argument("--seed", type=int, default=1)
    options = parser.parse_args()
    print(chaos(options.rounds, options.seed))


if __name__ == "__main__":
    main()
