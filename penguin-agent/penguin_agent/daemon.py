"""The daemon: wait for an identity, then collect, submit and listen until told to stop.

All tasks are in one TaskGroup. A bug in one loop is logged and the loop starts again after a pause:
the device must come back by itself whatever happens.
"""

from __future__ import annotations

import asyncio
import contextlib
import fcntl
import os
import signal
from typing import TYPE_CHECKING, Any

from logbook import Logger

from penguin_agent.agent import Agent
from penguin_agent.base import Base
from penguin_agent.clock import boottime
from penguin_agent.connection import CollectWanted, is_told_to_end
from penguin_agent.control import ControlSocket, Verb
from penguin_agent.failpoints import make_failpoint
from penguin_agent.orders.history import history
from penguin_agent.service_manager import notify
from penguin_agent.wakeups import watch_network, watch_sleep
from penguindome.durable import check_private, make_private_dir
from penguindome.errors import AlreadyExists, Forbidden, PenguinDomeError, PreconditionFailed
from penguindome.ids import new_ulid
from penguindome.times import utc_now

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Mapping
    from pathlib import Path

    from penguin_agent.config import Settings
    from penguin_agent.identity import Identity
    from penguin_agent.shell.making import Shells

log = Logger(__name__)

RESTART_SECONDS = 30.0
LOOK_SECONDS = 15.0
CANCEL_SECONDS = 0.5
NAMES_LIMIT = 64


class Daemon:
    """One run of the daemon."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._failpoint = make_failpoint(enabled=settings.failpoints, environ=os.environ)
        self._base = Base(settings, wall=utc_now)
        self._agent: Agent | None = None
        self._stop = asyncio.Event()
        self._look = asyncio.Event()
        self._tasks: list[asyncio.Task[None]] = []

    async def run(self) -> None:
        """Run until SIGTERM or SIGINT."""
        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, self._stop.set)
        loop.add_signal_handler(signal.SIGHUP, self._wake)
        with contextlib.suppress(PenguinDomeError):  # the agent's own loop tells it
            # Who asks should not hear "not enrolled" while the child still looks.
            await self._base.identities.load()
        control = ControlSocket(self._settings.paths.socket, self._verbs())
        await control.start()
        notify("READY=1")
        async with asyncio.TaskGroup() as group:
            self._start(group, "agent", lambda: self._live(group))
            self._start(group, "watchdog", _feed_watchdog)
            self._start(group, "sleep watch", lambda: watch_sleep(self._woke))
            self._start(group, "network watch", lambda: watch_network(self._network_changed))
            await self._stop.wait()
            log.info("Stopping")
            notify("STOPPING=1")
            await _end(self._tasks)
        await control.stop()

    async def _live(self, group: asyncio.TaskGroup) -> None:
        identity = await self._enrolled()
        if self._agent is None:
            agent = Agent(self._base, identity, group, self._failpoint)
            await agent.start()
            self._agent = agent
            log.info("Device {} of fleet {}", identity.device.device_id, identity.device.fleet)
            self._start(group, "link", agent.link.run)
            self._start(group, "submitter", agent.submitter.run)
            self._start(group, "collecting", agent.collecting.run)
            self._start(group, "release keeper", agent.release.keeper.run)
            self._start(group, "news of orders", agent.orders.updates.run)
            self._start(group, "recordings", agent.shells.uploads.run)
            self._start(group, "engine of orders", agent.orders.engine.run)
        await self._stop.wait()

    async def _enrolled(self) -> Identity:
        """Return the identity once there is one; asks for an approval that is due."""
        told = False
        while True:
            identity = await self._base.identities.load()
            if identity is not None:
                return identity
            if not told:
                log.info("Not enrolled yet; run penguin-agent enroll")
                told = True
            pause = await self._poll()
            try:
                async with asyncio.timeout(pause):
                    await self._look.wait()
            except TimeoutError:
                continue
            self._look.clear()

    async def _poll(self) -> float:
        """Ask whether a waiting application was approved; returns the pause until the next look."""
        waiting = self._base.identities.application()
        if waiting is None or not waiting.device_id:
            return LOOK_SECONDS
        try:
            outcome = await self._base.identities.poll()
        except Forbidden as error:
            log.warning("This device is not let in: {}", error)
            return LOOK_SECONDS * 4
        except PenguinDomeError as error:
            log.warning("The approval cannot be asked for: {}", error)
            return LOOK_SECONDS
        return outcome.poll_after.total_seconds()

    def _start(
        self, group: asyncio.TaskGroup, name: str, loop: Callable[[], Awaitable[None]]
    ) -> None:
        self._tasks.append(group.create_task(_guarded(name, loop), name=name))

    def _verbs(self) -> Mapping[str, Verb]:
        return {
            "status": Verb(self._status),
            "issues": Verb(lambda _request: self._base.verdicts.read()),
            "sessions": Verb(lambda _request: self._shells().sessions.words()),
            "consent": Verb(lambda request: self._shells().answer(request), people=True),
            "sessions-end": Verb(lambda request: self._shells().end(request), admin=True),
            "history": Verb(self._history),
            "collect-now": Verb(self._collect_now, admin=True),
            "reload": Verb(self._reload, admin=True),
            "stop": Verb(lambda _request: self._stop.set(), admin=True),
        }

    def _status(self, _request: Mapping[str, Any]) -> dict[str, Any]:
        if self._agent is not None:
            return self._agent.status()
        words = self._base.enrollment_words()
        return {"version": self._base.version, "running": True, "connected": False, **words}

    def _shells(self) -> Shells:
        return self._enrolled_agent().shells

    def _history(self, request: Mapping[str, Any]) -> list[dict[str, Any]]:
        if self._agent is None:
            return []
        return history(self._agent.orders.store.file, str(request.get("order", "")))

    def _enrolled_agent(self) -> Agent:
        if self._agent is None:
            raise PreconditionFailed("this device is not enrolled")
        return self._agent

    def _collect_now(self, request: Mapping[str, Any]) -> dict[str, Any]:
        agent = self._enrolled_agent()
        names = tuple(str(name) for name in request.get("plugins") or ())[:NAMES_LIMIT]
        agent.link.wake(asked=True)
        request_id = new_ulid(utc_now())
        return {"accepted": agent.collecting.ask(CollectWanted(names, request_id))}

    def _reload(self, _request: Mapping[str, Any]) -> dict[str, Any]:
        self._wake()
        return {}

    def _wake(self) -> None:
        """Do now what waits for its time."""
        self._look.set()
        if self._agent is not None:
            self._agent.link.wake(asked=True)

    def _woke(self) -> None:
        """Go on after the machine slept."""
        self._look.set()
        if self._agent is not None:
            self._agent.woke()

    def _network_changed(self) -> None:
        if self._agent is not None:
            self._agent.link.wake()


async def _end(tasks: list[asyncio.Task[None]]) -> None:
    """Cancel tasks until they end: a cancellation can be lost in a call that ends just then."""
    while running := [task for task in tasks if not task.done()]:
        for task in running:
            task.cancel()
        await asyncio.wait(running, timeout=CANCEL_SECONDS)


async def _guarded(name: str, loop: Callable[[], Awaitable[None]]) -> None:
    while True:
        try:
            return await loop()
        except PenguinDomeError as error:
            log.error("The {} cannot go on: {}", name, error.text())  # noqa: TRY400 -- no bug
        except asyncio.CancelledError:
            if is_told_to_end():
                raise
            log.error("The {} was broken off and starts again", name)  # noqa: TRY400 -- no bug
        except Exception:  # a bug in one loop must not silence the device
            log.exception("The {} stumbled and starts again in {} s", name, RESTART_SECONDS)
        await asyncio.sleep(RESTART_SECONDS)


async def _feed_watchdog() -> None:
    """Tell systemd that the loop turns, twice in the time that it allows."""
    allowed = os.environ.get("WATCHDOG_USEC", "")
    if not allowed.isdecimal() or int(allowed) == 0:
        return
    while notify("WATCHDOG=1"):  # noqa: ASYNC110 -- a heartbeat is not waiting for anything
        await asyncio.sleep(int(allowed) / 2_000_000)


def hold_lock(state_dir: Path) -> int:
    """Take the lock that one daemon at a time holds; returns the descriptor, open until the end.

    Raises:
        AlreadyExists: Another daemon runs on this state.
    """
    descriptor = os.open(state_dir / "lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        os.close(descriptor)
        raise AlreadyExists(
            "another penguin-agent runs on this state", subject=str(state_dir)
        ) from None
    return descriptor


def check_state(state_dir: Path) -> None:
    """Refuse to work on state that others can read or replace.

    Raises:
        PreconditionFailed: Names the file and the command that mends it.
    """
    make_private_dir(state_dir)
    owner = os.geteuid()
    check_private(state_dir, owner_uid=owner, max_mode=0o700, directory=True)
    for name in ("identity", "spool", "dead-letters", "state", "plugins-var", "releases"):
        make_private_dir(state_dir / name)
        check_private(state_dir / name, owner_uid=owner, max_mode=0o700, directory=True)
    for path in (state_dir / "identity").iterdir():
        check_private(path, owner_uid=owner, max_mode=0o600, directory=False)


def run(settings: Settings) -> None:
    """Run the daemon in this process."""
    state_dir = settings.paths.state_dir
    check_state(state_dir)
    lock = hold_lock(state_dir)
    try:
        asyncio.run(_main(settings))
    finally:
        os.close(lock)


async def _main(settings: Settings) -> None:
    log.debug("Started {} s after boot", round(boottime()))
    await Daemon(settings).run()
