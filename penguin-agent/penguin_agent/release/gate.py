"""Judge a release after the switch: whether the device still checks in and the plugins work.

The release passes once a check-in completes and, in a full collection, no plugin that it brought
or changed fails that did not fail before; one that fails has a second try. Otherwise, after ten
minutes of being awake, or at the third start meanwhile, it does not. A laptop's sleep counts for
nothing: the loop's clock stands still.
"""

from __future__ import annotations

import asyncio
from dataclasses import replace
from datetime import timedelta
from typing import TYPE_CHECKING, Protocol

from logbook import Logger

from penguindome.errors import PenguinDomeError
from penguindome.outputs import OutputStatus

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterable

    from penguin_agent.collect.collector import Collected
    from penguin_agent.release.gate_file import Trial

log = Logger(__name__)

DEADLINE = timedelta(minutes=10)
STARTS_LIMIT = 3
STEP_SECONDS = 15.0
RETRY_SECONDS = 20.0
FAILING = frozenset({OutputStatus.ERROR, OutputStatus.TIMEOUT})


class Health(Protocol):
    """How the device is doing; the agent itself."""

    async def check_in(self) -> None:
        """Return once a check-in completed that began after the call."""

    async def collect(self, names: Collection[str] | None) -> Collected:
        """Run plugins, all of them for None, and hand their outputs on."""


async def judge(
    trial: Trial,
    health: Health,
    keep: Callable[[Trial], None],
    *,
    deadline: timedelta = DEADLINE,
    step_seconds: float = STEP_SECONDS,
) -> Trial:
    """Return the trial passed, or with the reason why not.

    Args:
        trial: As it stands.
        health: The device.
        keep: Told now and then how much time was spent.
        deadline: How much there is.
        step_seconds: How often `keep` is told.
    """
    async with asyncio.TaskGroup() as group:
        work = group.create_task(_failing(trial, health), name="release gate")
        await _wait(work, trial, keep, deadline.total_seconds(), step_seconds)
        if work.done():
            return _judged(trial, work.result())
        work.cancel()
    minutes = deadline.total_seconds() / 60
    reason = f"no check-in and full collection was completed within {minutes:g} minutes"
    return trial.failing(reason, "gate-timeout")


async def _wait(
    work: asyncio.Task[tuple[str, ...]],
    trial: Trial,
    keep: Callable[[Trial], None],
    seconds: float,
    step_seconds: float,
) -> None:
    """Wait until the work is done or the time is up, and note now and then how much was spent."""
    loop = asyncio.get_running_loop()
    began = loop.time() - trial.spent_seconds
    while (left := began + seconds - loop.time()) > 0:
        await asyncio.wait({work}, timeout=min(left, step_seconds))
        if work.done():
            return
        keep(replace(trial, spent_seconds=int(loop.time() - began)))


def _judged(trial: Trial, failed: tuple[str, ...]) -> Trial:
    if not failed:
        return trial.passed()
    reason = f"plugins fail that worked or did not exist before: {', '.join(failed)}"
    return trial.failing(reason, "gate-plugins", failed)


async def _failing(trial: Trial, health: Health) -> tuple[str, ...]:
    """Return plugins that newly fail, once a check-in is completed; it is asked for at once."""
    async with asyncio.TaskGroup() as group:
        checked_in = group.create_task(health.check_in(), name="release check-in")
        bad = _bad(trial.judged, await _collected(health, None))
        if bad:
            bad = _bad(bad, await _collected(health, bad))
        if bad:
            checked_in.cancel()
    return bad


async def _collected(health: Health, names: Collection[str] | None) -> Collected:
    """Return a collection that counts: one during which the machine stayed up."""
    while True:
        try:
            collected = await health.collect(names)
        except (PenguinDomeError, OSError) as error:
            log.warning("Nothing could be collected after the switch: {}", error)
        else:
            if not collected.dropped:
                return collected
        await asyncio.sleep(RETRY_SECONDS)


def _bad(judged: Iterable[str], collected: Collected) -> tuple[str, ...]:
    good = {output.name for output in collected.outputs if output.status not in FAILING}
    return tuple(sorted(name for name in judged if name not in good))
