"""Kill a device's agent again and again while orders come, more often than they should."""

from __future__ import annotations

import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from tests.attacks.kit.world import order_id
from tests.penguin_agent.agent_process import eventually

if TYPE_CHECKING:
    import random
    from pathlib import Path

    from penguindome.envelope import Envelope
    from tests.attacks.kit.world import World

SETTLE_SECONDS = 60
ROUND_ORDERS = 4


@dataclass
class Tally:
    """What happened.

    Attributes:
        kills: How often the agent was killed.
        ends: How many orders ended in each state.
        broken: Orders that were done twice, were not done though they say so, or never ended.
    """

    kills: int = 0
    ends: dict[str, int] = field(default_factory=dict)
    broken: list[str] = field(default_factory=list)


def kill_for(world: World, seconds: float, chance: random.Random) -> Tally:
    """Kill the agent for so long, let it settle, and look at every mark."""
    tally = Tally()
    ordered: list[tuple[Envelope, Path]] = []
    until = time.monotonic() + seconds
    while time.monotonic() < until:
        for _ in range(ROUND_ORDERS):
            mark = world.mark()
            nap = chance.choice((0, 0, 0.05, 0.3))
            script = f"echo ran >> {mark}; sleep {nap}; echo said"
            body = world.command_body(mark, argv=["/bin/sh", "-c", script])
            ordered.append((world.signed(body=body), mark))
        connects(world)
        end = time.monotonic() + chance.uniform(0.0, 0.8)
        while time.monotonic() < end:
            resend(world, ordered, chance)
            time.sleep(0.05)
        assert world.agent.daemon is not None
        world.agent.daemon.kill()
        world.agent.daemon.wait()
        tally.kills += 1
        world.agent.start()
    connects(world)
    settle(world, ordered, chance)
    judge(world, ordered, tally)
    return tally


def connects(world: World) -> None:
    """Wait until the stream of the agent that runs now is open."""
    count = len(world.server.device.checkins)
    eventually(lambda: len(world.server.device.checkins) > count - 1 and alive(world))


def alive(world: World) -> bool:
    """Tell whether the newest agent has been told that it is welcome."""
    return len(world.server.device.confirmed) >= 1 and world.agent.status()["running"]


def resend(world: World, ordered: list[tuple[Envelope, Path]], chance: random.Random) -> None:
    """Send what has not ended, and something that has."""
    waiting = [one for one, _ in ordered if not ended(world, one)]
    known = [one for one, _ in ordered if ended(world, one)]
    chance.shuffle(waiting)
    world.server.send(*waiting[:8], *chance.sample(known, min(2, len(known))))


def ended(world: World, envelope: Envelope) -> bool:
    """Tell whether the device told an end."""
    return any(one.is_final for one in world.server.receipts[order_id(envelope)])


def settle(world: World, ordered: list[tuple[Envelope, Path]], chance: random.Random) -> None:
    """Let everything end."""
    until = time.monotonic() + SETTLE_SECONDS
    while time.monotonic() < until and not all(ended(world, one) for one, _ in ordered):
        resend(world, ordered, chance)
        time.sleep(0.3)


def judge(world: World, ordered: list[tuple[Envelope, Path]], tally: Tally) -> None:
    """Compare each mark with what the device said."""
    for envelope, mark in ordered:
        name = order_id(envelope)
        finals = {one.state for one in world.server.receipts[name] if one.is_final}
        times = len(mark.read_text().split()) if mark.exists() else 0
        state = "/".join(sorted(finals)) or "none"
        tally.ends[state] = tally.ends.get(state, 0) + 1
        allowed = {"succeeded": (1,), "interrupted": (0, 1), "failed": (0, 1)}
        if len(finals) != 1 or times not in allowed.get(state, ()):
            tally.broken.append(f"{name}: {state}, done {times} times")
