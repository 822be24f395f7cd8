"""Put the engine of orders together."""

from __future__ import annotations

import random
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from penguin_agent.backoff import Backoff
from penguin_agent.orders.acting import Acting
from penguin_agent.orders.calling_off import CancelAct
from penguin_agent.orders.command_act import CommandAct, CommandRunner
from penguin_agent.orders.engine import Engine
from penguin_agent.orders.intake import Intake
from penguin_agent.orders.judging import Judge, Owner
from penguin_agent.orders.output_files import OutputFiles
from penguin_agent.orders.store import OrderStore
from penguin_agent.orders.updates import Updates
from penguin_agent.orders.voice import Voice
from penguindome.orders.kinds import KINDS

if TYPE_CHECKING:
    import asyncio
    from collections.abc import Awaitable, Callable
    from pathlib import Path

    from penguin_agent.clock import DeviceClock
    from penguin_agent.config import Allow
    from penguin_agent.failpoints import Failpoint
    from penguin_agent.link import Link
    from penguin_agent.orders.acts import Act
    from penguin_agent.release.sealed import Programs
    from penguindome.trust_document import TrustDocument

MOST_SECONDS = 60.0


@dataclass(frozen=True, slots=True)
class Surroundings:
    """What the engine needs of the agent.

    Attributes:
        state_dir: Where the folder `orders` is.
        owner: Who this device is.
        key_pem: Returns the device's present key.
        clock: The device's.
        trust: Returns the newest trust document.
        renew_trust: Fetches others; tells whether there is a newer one than a version.
        allow: The device's own settings.
        link: The connection.
        programs: Makes something to run of a script's bytes.
        delivered: Is called when the server has an order's last receipt.
        group: Where everything runs.
        failpoint: For tests of crashes.
    """

    state_dir: Path
    owner: Owner
    key_pem: Callable[[], bytes]
    clock: DeviceClock
    trust: Callable[[], TrustDocument | None]
    renew_trust: Callable[[int], Awaitable[bool]]
    allow: Allow
    link: Link
    programs: Programs
    delivered: Callable[[str], None]
    group: asyncio.TaskGroup
    failpoint: Failpoint


@dataclass(frozen=True, slots=True)
class Orders:
    """The parts that the agent runs and asks.

    Attributes:
        engine: Takes orders in.
        updates: Hands in what became of them.
        store: Remembers them.
        runner: Runs programs; standing scripts of releases, too.
        acts: By kind; to be completed before the engine runs.
    """

    engine: Engine
    updates: Updates
    store: OrderStore
    runner: CommandRunner
    acts: dict[str, Act] = field(default_factory=dict)


def make_orders(around: Surroundings) -> Orders:
    """Return the engine with the acts that are its own: commands and cancellations."""
    voice = Voice(around.owner.fleet, around.owner.device_id, around.key_pem)
    store = OrderStore(around.state_dir, voice, around.failpoint)
    outputs = OutputFiles(store.file.folder)
    updates = Updates(
        store,
        outputs,
        around.link,
        backoff=Backoff(random.uniform, most_seconds=MOST_SECONDS),
        delivered=around.delivered,
        failpoint=around.failpoint,
    )
    runner = CommandRunner(around.state_dir, around.programs, failpoint=around.failpoint)
    acts: dict[str, Act] = {"command": CommandAct(runner)}
    judge = Judge(
        around.owner,
        trust=around.trust,
        renew_trust=around.renew_trust,
        allow=around.allow,
        now=around.clock.now,
    )
    acting = Acting(
        acts,
        judge=judge,
        store=store,
        outputs=outputs,
        clean_up=runner.clean_up,
        changed=updates.wake,
        now=around.clock.now,
        group=around.group,
        failpoint=around.failpoint,
    )
    cancel = CancelAct(store, acting)
    acts.update({name: cancel for name, kind in KINDS.items() if kind.cancels})
    engine = _engine(around, store, outputs, updates=updates, judge=judge, acting=acting)
    return Orders(engine, updates, store, runner, acts)


def _engine(
    around: Surroundings,
    store: OrderStore,
    outputs: OutputFiles,
    *,
    updates: Updates,
    judge: Judge,
    acting: Acting,
) -> Engine:
    intake = Intake(
        judge=judge,
        store=store,
        acting=acting,
        voice=store.voice,
        changed=updates.wake,
        now=around.clock.now,
        failpoint=around.failpoint,
    )
    return Engine(
        store=store,
        outputs=outputs,
        judge=judge,
        acting=acting,
        intake=intake,
        clock=around.clock,
        changed=updates.wake,
        group=around.group,
    )
