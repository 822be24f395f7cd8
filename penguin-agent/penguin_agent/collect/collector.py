"""Run plugins in parallel within a bound, and hand over what they found.

Nothing a plugin does reaches the caller as an exception. A collection during which the machine
began to go down is dropped whole; a plugin that had to be stopped several times in a row is
benched.
"""

from __future__ import annotations

import asyncio
import fcntl
import time
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import timedelta
from typing import IO, TYPE_CHECKING

from logbook import Logger

from penguin_agent.collect.bench import Bench
from penguin_agent.collect.discovery import Discovery, find_plugins
from penguin_agent.collect.environment import common_environment, prepare_bin_dir
from penguin_agent.collect.limits import RunLimits
from penguin_agent.collect.process_group import end_strays
from penguin_agent.collect.reboot_guard import RebootGuard, changed, run_tool
from penguin_agent.collect.runner import ChildRunner, PluginSpec, Ran, Runner
from penguin_agent.collect.scratch import remove_tree
from penguindome.durable import make_private_dir

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Collection
    from datetime import datetime
    from pathlib import Path

    from penguin_agent.collect.discovery import Signed
    from penguindome.reports import Output

log = Logger(__name__)
_LOCK_PERIOD_SECONDS = 0.2


@dataclass(frozen=True, slots=True)
class CollectSettings:
    """Where plugins are and how they run.

    `work_dir` holds the interpreter's wrappers and the scratch folders; it must not be on a noexec
    mount. `settings` is the file that plugins read with get_setting.
    """

    shipped: Path
    local: Path
    var_dir: Path
    work_dir: Path
    settings: Path | None = None
    parallel: int = 4
    deadline: timedelta = timedelta(seconds=60)
    limits: RunLimits = field(default_factory=RunLimits)


@dataclass(frozen=True, slots=True)
class Collected:
    """One collection.

    outputs: of the plugins that ran, sorted by name.
    dropped: the machine's state changed meanwhile; outputs is empty, `reason` says what changed.
    present: names of all plugins there are, whether or not they ran.
    benched: names of those that were asked for but had to wait.
    problems: (name, reason) of what looks like a plugin but may not run.
    """

    outputs: tuple[Output, ...]
    dropped: bool
    reason: str = ""
    present: tuple[str, ...] = ()
    benched: tuple[str, ...] = ()
    problems: tuple[tuple[str, str], ...] = ()


@dataclass(frozen=True, slots=True)
class PluginState:
    """What `penguin-agent status` tells about one plugin; status "" means it did not run yet."""

    name: str
    local: bool
    status: str
    reason: str
    collected_time: datetime | None
    benched: bool


class Collector:
    """Collects from this device's plugins; one collection at a time.

    Args:
        settings: where plugins are and how they run.
        clock: the time written on outputs.
        runner: how one plugin runs; children of this process by default.
        guard: looks at the machine's state before and after.
        monotonic: seconds, for the bench.
        signed: the plugins that operators signed, given the deadline; None where there are none.
    """

    def __init__(
        self,
        settings: CollectSettings,
        *,
        clock: Callable[[], datetime],
        runner: Runner | None = None,
        guard: RebootGuard | None = None,
        monotonic: Callable[[], float] = time.monotonic,
        signed: Callable[[timedelta], Signed | None] = lambda _deadline: None,
    ) -> None:
        self._settings = settings
        self._signed = signed
        self._runner = runner or _child_runner(settings, clock)
        self._guard = guard or RebootGuard(run_tool)
        self._monotonic = monotonic
        self._bench = Bench()
        self._last: dict[str, Output] = {}
        self._prepared = False
        self._one_at_a_time = asyncio.Lock()

    def discover(self) -> Discovery:
        """Look for plugins anew; files may have come or gone."""
        settings = self._settings
        return find_plugins(
            settings.shipped,
            settings.local,
            deadline=settings.deadline,
            signed=self._signed(settings.deadline),
        )

    def names(self) -> tuple[str, ...]:
        """Return the names of all plugins there are, for the schedule."""
        return tuple(spec.name for spec in self.discover().plugins)

    async def collect(self, names: Collection[str] | None) -> Collected:
        """Run the named plugins, all of them for None; benched ones sit out."""
        async with self._one_at_a_time, exclusive(self._settings.work_dir):
            await self._prepare()
            found = self.discover()
            asked = [spec for spec in found.plugins if names is None or spec.name in names]
            now = self._monotonic()
            benched = tuple(s.name for s in asked if self._bench.is_benched(s.name, now))
            before = await self._guard.look()
            runs = await self._run_all([spec for spec in asked if spec.name not in benched])
            difference = changed(before, await self._guard.look())
            reason = f"{', '.join(difference)} changed meanwhile" if difference else ""
            if reason:
                log.warning("Collection dropped, the machine changes its state: {}", reason)
            else:
                self._note(runs)
            return Collected(
                outputs=() if reason else tuple(ran.output for ran in runs),
                dropped=bool(reason),
                reason=reason,
                present=tuple(spec.name for spec in found.plugins),
                benched=benched,
                problems=found.problems,
            )

    def plugin_states(self) -> tuple[PluginState, ...]:
        """Return the last known state of every plugin there is."""
        now = self._monotonic()
        return tuple(self._state(spec, now) for spec in self.discover().plugins)

    def benched(self) -> tuple[str, ...]:
        """Return the names of plugins that have to wait, sorted."""
        return self._bench.benched(self._monotonic())

    def pardon(self, names: Collection[str]) -> None:
        """Let plugins run that are others now than those that misbehaved."""
        for name in names:
            self._bench.note(name, self._monotonic(), abused=False)

    def _state(self, spec: PluginSpec, now: float) -> PluginState:
        last = self._last.get(spec.name)
        return PluginState(
            name=spec.name,
            local=spec.local,
            status=last.status.value if last else "",
            reason=last.reason if last else "",
            collected_time=last.collected_time if last else None,
            benched=self._bench.is_benched(spec.name, now),
        )

    async def _prepare(self) -> None:
        if not self._prepared:
            if count := await asyncio.to_thread(end_strays, self._settings.var_dir):
                log.warning("Ended {} processes that plugins of a killed agent left", count)
            await asyncio.to_thread(make_private_dir, self._settings.var_dir)
            await asyncio.to_thread(prepare_work_dir, self._settings.work_dir)
            self._prepared = True

    async def _run_all(self, specs: list[PluginSpec]) -> list[Ran]:
        slots = asyncio.Semaphore(self._settings.parallel)

        async def run(spec: PluginSpec) -> Ran:
            async with slots:
                return await self._runner.run(spec)

        async with asyncio.TaskGroup() as group:
            tasks = [group.create_task(run(spec), name=f"plugin {spec.name}") for spec in specs]
        return [task.result() for task in tasks]

    def _note(self, runs: list[Ran]) -> None:
        now = self._monotonic()
        for ran in runs:
            self._last[ran.output.name] = ran.output
            self._bench.note(ran.output.name, now, abused=ran.abused)


@asynccontextmanager
async def exclusive(work_dir: Path) -> AsyncIterator[None]:
    """Hold the work folder: `penguin-agent collect` waits for the daemon's collection."""
    make_private_dir(work_dir)
    with (work_dir / "lock").open("w") as file:
        while not _lock(file):  # noqa: ASYNC110 -- another process holds it: no event tells
            await asyncio.sleep(_LOCK_PERIOD_SECONDS)
        yield


def _lock(file: IO[str]) -> bool:
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def prepare_work_dir(work_dir: Path) -> None:
    """Fill the folder for wrappers and scratch; what an earlier process left there goes."""
    prepare_bin_dir(work_dir / "bin")
    remove_tree(work_dir / "scratch")
    make_private_dir(work_dir / "scratch")


def _child_runner(settings: CollectSettings, clock: Callable[[], datetime]) -> ChildRunner:
    work = settings.work_dir
    return ChildRunner(
        limits=settings.limits,
        environment=common_environment(
            bin_dir=work / "bin", var_dir=settings.var_dir, settings=settings.settings
        ),
        scratch=work / "scratch",
        clock=clock,
    )
