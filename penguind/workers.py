"""Keep a worker working: through outages of any length, and never beyond its cancellation."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, NoReturn

from penguindome.errors import PenguinDomeError
from penguindome.logs import logger

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Iterable

log = logger("penguind.workers")

_PAUSE_SECONDS = 1.0
_AGAIN_SECONDS = 0.5


async def keep_on(
    what: str, turn: Callable[[], Awaitable[None]], *, pause_seconds: float = _PAUSE_SECONDS
) -> NoReturn:
    """Take turns until the task is cancelled; an outage is logged when it begins and ends.

    Args:
        what: the work, as the log names it.
        turn: one step of it, which waits by itself when there is nothing to do; what it could not
            do it has to do in a later turn.
        pause_seconds: how long to rest after a turn that failed.
    """
    failing = False
    while True:
        try:
            await turn()
        except PenguinDomeError as error:
            if not failing:
                log.warning("Stopped for now: {}: {}", what, error.text())
            failing = True
            await asyncio.sleep(pause_seconds)
        else:
            if failing:
                log.info("Goes on: {}", what)
            failing = False
        heed_cancellation()


def heed_cancellation() -> None:
    """End a task whose cancellation the database's driver swallowed; for use before long waits.

    Raises:
        asyncio.CancelledError: the task was cancelled, now or before.
    """
    task = asyncio.current_task()
    if task is not None and task.cancelling():
        raise asyncio.CancelledError


async def end_all(tasks: Iterable[asyncio.Task[None]]) -> None:
    """Cancel tasks until all have ended: once is not enough where a cancellation is swallowed."""
    left = set(tasks)
    while left:
        for task in left:
            task.cancel()
        _, left = await asyncio.wait(left, timeout=_AGAIN_SECONDS)
