"""Run one plugin under limits, and say what it printed or why that is no answer.

Whatever a plugin does, the result is an Output: hanging, flooding, forking, ignoring TERM or
leaving daemons behind ends with all its processes killed and one line that names the cause.

Trust: a plugin is signed or root's own, yet its output often holds what users of the machine wrote.
"""

from __future__ import annotations

import asyncio
import tempfile
from contextlib import ExitStack
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

from logbook import Logger

from penguin_agent.collect.child import Job, run_child
from penguin_agent.collect.environment import plugin_environment
from penguin_agent.collect.result import ABUSE, Cause, Ended, judge
from penguin_agent.collect.scratch import remove_tree
from penguindome.errors import PenguinDomeError

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from contextlib import AbstractContextManager
    from datetime import datetime

    from penguin_agent.collect.limits import RunLimits
    from penguindome.reports import Output

log = Logger(__name__)


@dataclass(frozen=True, slots=True)
class Program:
    """What to run: its path, and the descriptors that the child has to inherit for it."""

    path: str
    pass_fds: tuple[int, ...] = ()


@dataclass(frozen=True, slots=True)
class PluginSpec:
    """A plugin as discovery found it.

    Attributes:
        name: Of its output.
        path: Where it is.
        local: From the device's own folder.
        deadline: For one run.
        opener: Lends the program when what runs has to be what was signed; None runs the path.
    """

    name: str
    path: Path
    local: bool = False
    deadline: timedelta = timedelta(seconds=60)
    opener: Callable[[], AbstractContextManager[Program]] | None = None


@dataclass(frozen=True, slots=True)
class Ran:
    """An output, and whether the plugin had to be stopped for what it did."""

    output: Output
    abused: bool = False


class Runner(Protocol):
    """How the collector runs a plugin: a child process now, a transient unit where systemd is."""

    async def run(self, spec: PluginSpec) -> Ran:
        """Run one plugin; never raises for what the plugin does."""


@dataclass(frozen=True, slots=True)
class ChildRunner:
    """Run plugins as child processes, each in an empty folder of its own below `scratch`.

    `environment` holds the variables common to all plugins; those that are not on the allow-list
    are dropped. `clock` gives the time to write on outputs.
    """

    limits: RunLimits
    environment: Mapping[str, str]
    scratch: Path
    clock: Callable[[], datetime]

    async def run(self, spec: PluginSpec) -> Ran:
        """Run one plugin in a folder of its own, which is gone afterwards."""
        try:
            folder = Path(tempfile.mkdtemp(prefix=f"{spec.name}-", dir=self.scratch))
        except OSError as error:  # a full disk: the others may still have an answer
            return self._ran(spec, Ended(Cause.NOT_STARTED, stderr=str(error).encode()))
        try:
            ended = await self._ended(spec, folder)
        finally:
            # A hostile plugin can fill its folder: away from the loop, and never an error.
            await asyncio.shield(asyncio.to_thread(remove_tree, folder))
        return self._ran(spec, ended)

    async def _ended(self, spec: PluginSpec, folder: Path) -> Ended:
        program = Program(str(spec.path))
        with ExitStack() as stack:
            if spec.opener is not None:
                lending = spec.opener()
                try:
                    program = await asyncio.to_thread(stack.enter_context, lending)
                except (PenguinDomeError, OSError) as error:
                    return Ended(Cause.NOT_STARTED, stderr=str(error).encode())
            return await run_child(self._job(spec, folder, program))

    def _ran(self, spec: PluginSpec, ended: Ended) -> Ran:
        verdict = judge(ended, limits=self.limits, deadline=spec.deadline)
        if verdict.reason:
            log.warning("Plugin {}: {}", spec.name, verdict.reason)
        output = verdict.output(spec.name, local=spec.local, now=self.clock())
        return Ran(output, abused=ended.cause in ABUSE)

    def _job(self, spec: PluginSpec, folder: Path, program: Program) -> Job:
        return Job(
            argv=(*self.limits.wrapper(), program.path),
            environment=plugin_environment(self.environment, spec.name),
            folder=folder,
            limits=self.limits,
            deadline=spec.deadline,
            pass_fds=program.pass_fds,
        )
