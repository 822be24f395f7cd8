"""Kill agents, penguind and mongod while commands are sent, run and called off; then count.

What must hold afterwards: each target is in exactly one final state, which is also what the device
itself remembers; no command ran twice on a device; one that succeeded ran; the ledger is whole.

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
    from pathlib import Path

    from tests.harness.agent import Agent

VICTIMS = ("agent", "agent", "agent", "penguind", "mongod", "both", "nobody")
ME = getpass.getuser()
DEVICES = 3
SETTLE_SECONDS = 180


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
        script = f'echo "$PD_STATE_DIR" >> {self._marks}/$PD_ORDER_ID; sleep {wait}'
        options = ("-o", "json", "--user", ME, "--yes", "--detach")
        done = self._fleet.alice.try_run("run", *options, *targets, "--", script)
        if done.returncode in {0, 8}:
            self._sent.append(json.loads(done.stdout)["order_id"])

    def call_off(self) -> None:
        """Call off one of the last; whatever comes of it."""
        if self._sent:
            order_id = self._chance.choice(self._sent[-4:])
            self._fleet.alice.try_run("command", "cancel", order_id, "--yes")
            self.called_off += 1


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
        commands = Commands(fleet, marks, chance)
        killed: Counter[str] = Counter()
        for _ in range(rounds):
            commands.send()
            if chance.random() < 0.2:
                commands.call_off()
            time.sleep(chance.uniform(0, 0.5))
            victim = chance.choice(VICTIMS)
            killed[victim] += 1
            if victim != "nobody":
                kill(fleet, victim, chance)
        ends = _check(fleet, marks)
        fleet.alice.run("ledger", "verify")
        return (
            f"{rounds} rounds {dict(killed)}, {commands.called_off} called off: "
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
        order_id, device_id, state = one["order_id"], one["device_id"], one["state"]
        times = ran[order_id, folders[device_id]]
        assert times == 1 or state not in {"succeeded", "failed"}, f"{one} ran {times} times"
        known = memories[device_id].get(order_id)
        assert known in {state, None}, f"the server says {state}, the device {known}: {one}"
        assert known is not None or state in {"cancelled", "expired"}, one
    return Counter(one["state"] for one in targets)


def _settled(fleet: Fleet) -> list[dict[str, Any]]:
    """Wait until every target has ended; return them all."""

    def ended() -> list[dict[str, Any]] | None:
        answer = fleet.alice.try_run("command", "list", "--limit", "1000", "-o", "json")
        orders = json.loads(answer.stdout)["orders"] if answer.returncode == 0 else []
        states = {state for one in orders for state in one["targets_by_state"]}
        return orders if orders and states <= set(FINAL) else None

    orders: Any = wait_until(ended, SETTLE_SECONDS, "not all targets have ended")
    ids = [one["order_id"] for one in orders]
    return [
        {**target, "order_id": order_id}
        for order_id in ids
        for target in fleet.alice.json("command", "show", order_id)["targets"]
    ]


def _memory(agent: Agent) -> dict[str, str]:
    """Return the states of orders that a device remembers."""
    found = json.loads(agent.run("history", "-o", "json"))
    return {one["order_id"]: one["state"] for one in found["orders"]}


def main() -> None:
    """Print the figures."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=300)
    parser.add_argument("--seed", type=int, default=1)
    options = parser.parse_args()
    print(chaos(options.rounds, options.seed))


if __name__ == "__main__":
    main()
