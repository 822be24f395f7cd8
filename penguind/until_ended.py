"""Passing on the messages of a stream until the caller's identity ends, also while none come."""

from __future__ import annotations

import asyncio
from contextlib import aclosing
from typing import TYPE_CHECKING, Any

from penguind.caller import caller, identity_ended

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Awaitable, Callable


async def pass_on(
    messages: AsyncGenerator[Any, None], write: Callable[[Any], Awaitable[object]]
) -> None:
    """Write each message.

    Raises:
        Unauthenticated: the caller's identity ended.
    """
    async with aclosing(messages), asyncio.TaskGroup() as tasks:
        ended = tasks.create_task(caller().ended.wait())
        while (step := await _first(tasks, messages, ended)) is not None:
            if isinstance(step, Exception):
                break
            await write(step[0])
        ended.cancel()
    if isinstance(step, Exception):
        raise step


async def _first(
    tasks: asyncio.TaskGroup, messages: AsyncGenerator[Any, None], ended: asyncio.Task[Any]
) -> tuple[Any] | Exception | None:
    """Return the next message, why none comes any more, or None at the end."""
    step = tasks.create_task(_step(messages))
    await asyncio.wait({step, ended}, return_when=asyncio.FIRST_COMPLETED)
    if ended.done():
        step.cancel()
        return identity_ended()
    return step.result()


async def _step(messages: AsyncGenerator[Any, None]) -> tuple[Any] | Exception | None:
    # As a value: a task group would wrap what a task raises.
    try:
        return (await anext(messages),)
    except StopAsyncIteration:
        return None
    except Exception as error:  # noqa: BLE001 -- raised again by `pass_on`
        return error
