"""Running the server: start, serve until told to stop, leave in good order."""

from __future__ import annotations

import asyncio
import signal
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

from penguind.console import open_external
from penguind.mongod.child import Mongod
from penguind.notify import notify, watchdog_seconds
from penguind.store.database import open_database
from penguind.wiring import build
from penguind.workers import end_all
from penguindome.channels import target
from penguindome.errors import PenguinDomeError
from penguindome.logs import logger

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from penguind.config import Settings
    from penguind.store.database import Database
    from penguind.wiring import Application
    from penguindome.times import Clock

log = logger("penguind.server")

# Agents add jitter to it, so that a fleet does not come back at once.
_RETRY_AFTER_SECONDS = 5
_GOODBYE_SECONDS = 3.0
_GRACE_SECONDS = 5.0


def run(settings: Settings, clock: Clock) -> None:
    """Serve until SIGTERM or SIGINT.

    Raises:
        PenguinDomeError: the server cannot start, or a part of it cannot go on.
    """
    try:
        asyncio.run(serve(settings, clock))
    except BaseExceptionGroup as group:
        ours, others = group.split(PenguinDomeError)
        if ours is None or others is not None:
            raise
        raise _first(ours) from group


async def serve(settings: Settings, clock: Clock, stop: asyncio.Event | None = None) -> None:
    """Serve until `stop` is set, by a signal or by the caller."""
    stopping = stop or asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stopping.set)
    async with asyncio.TaskGroup() as tasks, _opened(settings, tasks) as database:
        application = await build(settings, database, clock)
        workers = [
            tasks.create_task(worker(), name=name) for name, worker in application.workers.items()
        ]
        watchdog = tasks.create_task(_watchdog(), name="watchdog")
        try:
            await _start(application, settings)
            await stopping.wait()
            await _say_goodbye(application)
        finally:
            await asyncio.gather(*(one.stop(_GRACE_SECONDS) for one in application.servers))
            await end_all((*workers, watchdog))
    log.info("Stopped")


@asynccontextmanager
async def _opened(settings: Settings, tasks: asyncio.TaskGroup) -> AsyncIterator[Database]:
    """Open the database, starting it first where it is ours; it goes last."""
    if not settings.database.embedded:
        async with await open_external(settings.database) as database:
            yield database
        return
    mongod = Mongod(settings.server.state_dir)
    uri = await mongod.start()
    try:
        tasks.create_task(mongod.run(), name="mongod")
        async with await open_database(uri, settings.database.name) as database:
            yield database
    finally:
        await mongod.stop()


async def _start(application: Application, settings: Settings) -> None:
    for server in application.servers:
        await server.start()
    await application.health.start()
    notify("READY=1")
    log.info("Serving {}", settings.server.fleet_id)
    for one in settings.listeners:
        kind = f"{one.kind}, deprecated" if one.deprecated else one.kind
        log.info("Listener {} ({}) on {}", one.name, kind, target(one.address, one.port))


async def _say_goodbye(application: Application) -> None:
    """Ask every agent to hang up and come back, and give them a moment to do so."""
    notify("STOPPING=1")
    log.info("Stopping; {} devices are asked to come back", application.presence.count())
    await application.health.stop()
    application.presence.drain(
        retry_after_seconds=_RETRY_AFTER_SECONDS, reason="the server is stopping"
    )
    deadline = asyncio.get_running_loop().time() + _GOODBYE_SECONDS
    while application.presence.count() and asyncio.get_running_loop().time() < deadline:  # noqa: ASYNC110 -- rare, short
        await asyncio.sleep(0.05)


async def _watchdog() -> None:
    """Tell the service manager, as often as it wants, that the event loop turns."""
    seconds = watchdog_seconds()
    while seconds is not None:
        notify("WATCHDOG=1")
        await asyncio.sleep(seconds)


def _first(group: BaseExceptionGroup[PenguinDomeError]) -> PenguinDomeError:
    """Return one error of a group, which says enough."""
    error = group.exceptions[0]
    return _first(error) if isinstance(error, BaseExceptionGroup) else error
