"""Run blocking work on a socket in a thread, which ends when its time or its task does."""

from __future__ import annotations

import asyncio
import contextlib
import socket
from typing import TYPE_CHECKING, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable

_T = TypeVar("_T")
# Long enough for an answer that is on its way, shorter than the server's patience with workers.
_GOODBYE_SECONDS = 0.3


async def in_thread(work: Callable[[], _T], *, hang_up: Callable[[], None], seconds: float) -> _T:
    """Return what `work` returns in a thread.

    Args:
        work: blocks; raises or returns soon after `hang_up`.
        hang_up: cuts the connection that `work` waits for.
        seconds: when to hang up: a peer that dribbles would keep each single wait short.
    """
    future = asyncio.get_running_loop().run_in_executor(None, work)
    try:
        done, _ = await asyncio.wait({future}, timeout=seconds)
    except asyncio.CancelledError:
        with contextlib.suppress(asyncio.CancelledError):
            await asyncio.wait({future}, timeout=_GOODBYE_SECONDS)
        if future.done():
            return future.result()
        hang_up()
        raise
    if not done:
        hang_up()
    return await future


def cut(connection: socket.socket | None) -> None:
    """End a connection at once, under the feet of the thread that uses it."""
    if connection is not None:
        with contextlib.suppress(OSError):
            # Not TLS's own method, which would pull the session from under the thread.
            socket.socket.shutdown(connection, socket.SHUT_RDWR)
