"""Hold a leg: several things at once, until the first of them ends."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Coroutine

    Work = Coroutine[object, object, object]


async def hold(*works: Work, beside: Work | None = None) -> None:
    """Do all of these until one ends, and raise what ended it; `beside` may end earlier."""
    failure: BaseException | None = None
    async with asyncio.TaskGroup() as group:
        tasks = [group.create_task(_quiet(one), name="leg") for one in works]
        more = [] if beside is None else [group.create_task(_quiet(beside), name="beside a leg")]
        try:
            done, _ = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
            failure = next((one.result() for one in done if one.result()), None)
        finally:
            for one in (*tasks, *more):
                one.cancel()
    if failure is not None:
        raise failure


async def _quiet(work: Work) -> Exception | None:
    """Return what a work failed with: in the group itself it would arrive wrapped."""
    try:
        await work
    except Exception as error:  # noqa: BLE001 -- it is raised by whoever holds the leg
        return error
    return None
