"""Notice what makes waiting pointless: the machine slept, or its network changed."""

from __future__ import annotations

import asyncio
import socket
import time
from typing import TYPE_CHECKING

from logbook import Logger

from penguin_agent.clock import boottime

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

log = Logger(__name__)

LOOK_SECONDS = 15.0
SLEPT_SECONDS = 10.0
# An interface that comes up says so several times.
SETTLE_SECONDS = 2.0
_READ_BYTES = 64 * 1024
# Source: rtnetlink(7) and linux/rtnetlink.h: RTMGRP_IPV4_IFADDR, _IPV4_ROUTE, _IPV6_IFADDR.
_GROUPS = 0x10 | 0x40 | 0x100


def _asleep() -> float:
    """Return how long the machine has slept so far: only one of the clocks counts it."""
    return boottime() - time.monotonic()


async def watch_sleep(
    woke: Callable[[], None],
    *,
    asleep: Callable[[], float] = _asleep,
    pause: Callable[[float], Awaitable[None]] = asyncio.sleep,
) -> None:
    """Call `woke` after each sleep of the machine: asyncio's timers stand still meanwhile."""
    known = asleep()
    while True:
        await pause(LOOK_SECONDS)
        slept, known = asleep() - known, asleep()
        if slept > SLEPT_SECONDS:
            log.info("The machine slept for {} s", round(slept))
            woke()


async def watch_network(changed: Callable[[], None]) -> None:
    """Call `changed` a little after addresses or routes changed; ends where that cannot be seen."""
    kind = socket.SOCK_RAW | socket.SOCK_CLOEXEC | socket.SOCK_NONBLOCK
    try:
        with socket.socket(socket.AF_NETLINK, kind, 0) as channel:
            channel.bind((0, _GROUPS))
            while True:
                await _something(channel)
                changed()
    except OSError as error:
        log.debug("Changes of the network cannot be seen: {}", error)


async def _something(channel: socket.socket) -> None:
    """Wait until something is told, and drop all that belongs to it."""
    await asyncio.get_running_loop().sock_recv(channel, _READ_BYTES)
    await asyncio.sleep(SETTLE_SECONDS)
    while True:
        try:
            channel.recv(_READ_BYTES)
        except BlockingIOError:
            return
