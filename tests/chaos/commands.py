"""Kill agents, penguind and mongod while commands are sent, run and called off; then count.

What must hold afterwards: each target is in exactly one final state, which is also what the device
itself remembers; no command ran twice on a device; one that succeeded ran once, and one that never
began did not; what it printed is whole; the ledger is whole.

Run: python -m tests.chaos.commands [--rounds 300] [--seed 1]
"""

from __future__ import annotations

import argparse
import getpass
import json
import random
import time
from collections import Counter
from typing import TYPE_CHECKING, Any

from penguindome.orders.receipts import FINAL
from tests.chaos.run import SETTINGS, kill
from tests.harness.fleet import Fleet
from tests.harness.process import wait_until

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from tests.harness.agent import Agent

VICTIMS = ("agent", "agent", "agent", "away", "penguind", "mongod", "both", "nobody")
ME = getpass.getuser()
DEVICES = 3
SETTLE_SECONDS = 180
AT_MOST = 1000
# An order's id and a newline are what each command prints.
PRINTED_BYTES = 27


class Commands:
    """Sends commands that leave marks, and calls some of them off."""

    def __init__(self, fleet: Fleet, marks: Path, chance: random.Random) -> None:
        """Take where the marks go."""
        self._fleet = fleet
        self._marks = marks
        self._chance = chance
        self._sent: list[str] = []
        self.called_off = 0

    def send(self) -> None:
        """Send one to some devices; where the server is away just then, nothing may come of it."""
        chance = self._chance
        devices = [agent.device_id() for agent in self._fleet.agents]
        targets = chance.sample(devices, chance.randint(1, len(devices)))
        wait = chance.choice((0, 0, 0.2, 1.5))
        mark = f'echo "$PD_STATE_DIR" >> {self._marks}/$PD_ORDER_ID'
        script = f'{mark}; sleep {wait}; echo "$PD_ORDER_ID"'
        ttl = chance.choice(("4s", "1h", "1h"))
        options = ("-o", "json", "--user", ME, "--yes", "--detach", "--ttl", ttl)
        done = self._fleet.alice.try_run("run", *options, *targets, "--", script)
        if done.returncode in {0, 8}:
            self._sent.append(json.loads(done.stdout)["order_id"])

    def call_off(self) -> None:
        """Call off one of the last; whatever comes of it."""
        if self._sent:
            order_id = self._chance.choice(self._sent[-3:])
            self._fleet.alice.try_run("command", "cancel", order_id, "--yes")
            self.called_off += 1


class Kills:
    """Kills programs; a device may stay away for some rounds."""

    def __init__(self, fleet: Fleet, chance: random.Random) -> None:
        """Kill nothing yet."""
        self._fleet = fleet
        self._chance = chance
        self._away: list[Agent] = []
        self.killed: Counter[str] = Counter()

    def one(self) -> None:
        """Kill somebody, or nobody."""
        victim = self._chance.choice(VICTIMS)
        self.killed[victim] += 1
        if victim == "away":
            self._leave()
        elif victim == "agent":
            self._kill_agent()
        elif victim != "nobody":
            kill(self._fleet, victim, self._chance)
        if self._chance.random() < 0.3:
            self.all_come_back()

    def all_come_back(self) -> None:
        """Start those that are away."""
        while self._away:
            self._away.pop().start()

    def _leave(self) -> None:
        agent = self._one_of_those_here()
        if agent is not None and agent.process is not None:
            agent.process.kill()
            self._away.append(agent)

    def _kill_agent(self) -> None:
        agent = self._one_of_those_here()
        if agent is not None and agent.process is not None:
            agent.process.kill()
            agent.start()

    def _one_of_those_here(self) -> Agent | None:
        here = [agent for agent in self._fleet.agents if agent not in self._away]
        return self._chance.choice(here) if here else None


def chaos(rounds: int, seed: int) -> str:
    """Kill so many times; return the figures.

    Raises:
        AssertionError: Something ran twice, or has no end, or two.
    """
    chance = random.Random(seed)
    with Fleet(settings=SETTINGS) as fleet:
        plugins = fleet.plugins(nothing="#!/bin/sh\necho 1\n")
        for _ in range(DEVICES):
            fleet.wait_for_report(fleet.device(plugins=plugins, token=fleet.alice.token()), 60)
        marks = fleet.folder / "marks"
        marks.mkdir()
        commands, kills = Commands(fleet, marks, chance), Kills(fleet, chance)
        for _ in range(rounds):
            commands.send()
            time.sleep(chance.uniform(0, 0.5))
            if chance.random() < 0.25:
                commands.call_off()
            kills.one()
        kills.all_come_back()
        ends = _check(fleet, marks)
        fleet.alice.run("ledger", "verify")
        return (
            f"{rounds} rounds {dict(kills.killed)}, {commands.called_off} called off: "
            f"{dict(ends)}; none ran twice, each has one end"
        )


def _check(fleet: Fleet, marks: Path) -> Counter[str]:
    """Hold the server's word against the devices' memories and the marks; return the ends."""
    targets = _settled(fleet)
    ran: Counter[tuple[str, str]] = Counter()
    for path in marks.iterdir():
        ran.update((path.name, line) for line in path.read_text().split())
    twice = [key for key, times in ran.items() if times > 1]
    assert not twice, f"ran twice: {twice}"
    folders = {agent.device_id(): str(agent.folder / "state") for agent in fleet.agents}
    memories = {agent.device_id(): _memory(agent) for agent in fleet.agents}
    for one in targets:
        order_id, device_id = one["order_id"], one["device_id"]
        known = memories[device_id].pop(order_id, None)
        _hold(one, known, ran.pop((order_id, folders[device_id]), 0))
    left = {key: found for key, found in memories.items() if found}
    assert not left, f"devices remember what the server does not: {left}"
    assert not ran, f"ran and is no target: {ran}"
    return Counter(one["state"] for one in targets)


def _hold(target: Mapping[str, Any], known: Mapping[str, Any] | None, times: int) -> None:
    """Hold a target against its device's memory and how often it ran there."""
    state = target["state"]
    told = f"ran {times} times; the server: {target}; the device: {known}"
    if known is None:
        # The server ends only what it has sent to nobody.
        assert state in {"cancelled", "expired"}, told
        assert not target["sent_time"], told
        assert not times, told
        return
    assert known["state"] == state, told
    assert times == 1 or state not in {"succeeded", "failed"}, told
    assert known["started_time"] or not times, told
    assert known["started_time"] or state in {"cancelled", "expired", "refused"}, told
    assert target["stdout_bytes"] <= PRINTED_BYTES, told
    assert state != "succeeded" or target["stdout_bytes"] == PRINTED_BYTES, told


def _settled(fleet: Fleet) -> list[dict[str, Any]]:
    """Wait until every order has ended, and its output is there; return all targets of commands."""

    def ended() -> list[str] | None:
        answer = fleet.alice.try_run("order", "list", "--limit", AT_MOST, "-o", "json")
        orders = json.loads(answer.stdout)["orders"] if answer.returncode == 0 else []
        states = {state for one in orders for state in one["targets_by_state"]}
        if not orders or not states <= set(FINAL) or not all(one["ended"] for one in orders):
            return None
        assert len(orders) < AT_MOST, "more orders than one answer holds; use fewer rounds"
        return [one["order_id"] for one in orders if one["kind"] == "command"]

    ids: Any = wait_until(ended, SETTLE_SECONDS, "not all orders have ended")
    return [target for order_id in ids for target in _targets(fleet, order_id)]


def _targets(fleet: Fleet, order_id: str) -> list[dict[str, Any]]:
    """Return an order's targets, once what was printed is there."""

    def whole() -> list[dict[str, Any]] | None:
        found: list[dict[str, Any]] = fleet.alice.json("command", "show", order_id)["targets"]
        owed = [one for one in found if one["state"] == "succeeded" and not one["stdout_bytes"]]
        return None if owed else [{**one, "order_id": order_id} for one in found]

    targets: Any = wait_until(whole, SETTLE_SECONDS, f"output of {order_id} is missing")
    return list(targets)


def _memory(agent: Agent) -> dict[str, dict[str, Any]]:
    """Return the commands that a device remembers, by their orders' ids."""
    found = json.loads(agent.run("history", "-o", "json"))["orders"]
    return {one["order_id"]: one for one in found if one["kind"] == "command"}


def main() -> None:
    """Print the figures."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=300)
    parser.add_argument("--seed", type=int, default=1)
    options = parser.parse_args()
    print(chaos(options.rounds, options.seed))


if __name__ == "__main__":
    main()
