"""Wipe, or say what a wipe would do: starts a process of its own, and tells what that one tells."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from logbook import Logger

from penguin_agent.orders.acts import Outcome
from penguin_agent.wipe.job import CALLED_OFF, Job
from penguin_agent.wipe.starting import start
from penguindome.errors import PenguinDomeError

if TYPE_CHECKING:
    from pathlib import Path

    from penguin_agent.orders.acts import Order, Progress
    from penguin_agent.wipe.job import Phase

log = Logger(__name__)
_PAUSE_SECONDS = 0.2
_START_SECONDS = 60
_RESUME_SECONDS = 15
_CANCELLED = Outcome("cancelled", CALLED_OFF, "called-off")


class WipeAct:
    """Acts on the kinds `wipe` and `wipe-plan`: the signed order says which.

    Who cancels it before the point of no return calls the wipe off; later it cannot be cancelled.
    The process that wipes goes on when the agent is killed; `resume` takes up its result.

    Args:
        state_dir: The agent's.
    """

    def __init__(self, state_dir: Path) -> None:
        self._state_dir = state_dir

    async def run(self, order: Order, progress: Progress) -> Outcome:
        """Start it, and wait for its result."""
        job = Job(self._state_dir, order.order_id)
        progress.running()
        try:
            job.prepare(order.envelope)
            await asyncio.to_thread(start, job)
        except PenguinDomeError as error:
            if job.abandon():
                return Outcome("failed", error.reason, error.code)
        except asyncio.CancelledError:
            if job.call_off():
                raise
        return await self._follow(job, progress, _START_SECONDS)

    async def resume(self, order: Order, progress: Progress) -> Outcome:
        """Return the result of a process that an earlier agent started; starts none."""
        return await self._follow(Job(self._state_dir, order.order_id), progress, _RESUME_SECONDS)

    async def _follow(self, job: Job, progress: Progress, start_seconds: float) -> Outcome:
        phase: Phase | None = None
        end = asyncio.get_running_loop().time() + start_seconds
        while True:
            # In this order: who has begun is alive until the result is written.
            begun, alive = job.has_begun(), job.is_running()
            result = job.result()
            if result is not None:
                return Outcome(result.state, result.reason, result.code, details=result.details)
            latest = job.phase()
            if latest is not None and latest != phase:
                phase = latest
                _tell(progress, job, phase)
            if begun and not alive:
                return _CANCELLED if job.is_called_off() else _interrupted(phase)
            late = asyncio.get_running_loop().time() > end or not job.folder.exists()
            if not begun and late and job.abandon():
                return Outcome("interrupted", "it was never begun", "not-started")
            try:
                await asyncio.sleep(_PAUSE_SECONDS)
            except asyncio.CancelledError:
                # From the point of no return on, only its result is the truth.
                if job.call_off():
                    raise


def delivered(state_dir: Path, order_id: str) -> None:
    """Let a machine go down: the server has the receipt of how the wipe ended."""
    Job(state_dir, order_id).mark("delivered")


def _tell(progress: Progress, job: Job, phase: Phase) -> None:
    """Note a phase; where that fails, the wipe goes on nevertheless, and its result is to come."""
    try:
        progress.running(details={"phase": phase.name, **phase.details})
        job.mark("seen")
    except PenguinDomeError as error:
        log.warning("Wipe {} is at {}, which is not kept: {}", job.order_id, phase.name, error)


def _interrupted(phase: Phase | None) -> Outcome:
    if phase is None:
        return Outcome("interrupted", "it broke off before anything was wiped", "interrupted")
    reason = f"it broke off at {phase.name}; what was done until then is in the details"
    details = {"phase": phase.name, **phase.details}
    return Outcome("interrupted", reason, "interrupted", details=details)
