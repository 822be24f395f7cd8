"""Standing scripts of a tree: each executable in `commands/` runs once ever, in order of names.

It is noted before it starts, so that one that a crash interrupted never runs again. One that ran
well is removed from the tree, whose list says so; one that failed stays, and is told.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

from logbook import Logger

from penguin_agent.failpoints import no_failpoint
from penguin_agent.orders.acts import Outcome
from penguindome.durable import read_file, write_file
from penguindome.errors import NotFound, PenguinDomeError
from penguindome.strict_json import canonical_json, parse_json

if TYPE_CHECKING:
    from collections.abc import Collection
    from pathlib import Path

    from penguin_agent.failpoints import Failpoint
    from penguin_agent.orders.acts import Order, Progress
    from penguin_agent.release.releases import Releases
    from penguin_agent.release.tree import Tree, TreeFile

log = Logger(__name__)

STARTED, LOST = "started", "lost"
_PREFIX = "commands/"


class ScriptRunner(Protocol):
    """Runs a program the way commands run."""

    async def run(self, order: Order, part: str, script: bytes, progress: Progress) -> Outcome:
        """Run a script to its end; its output goes to `progress` as the part's.

        Args:
            order: The release or patch that brought it.
            part: `commands/NAME`.
            script: Its bytes.
            progress: Where its output goes.
        """


class ScriptNotes:
    """What is remembered about scripts: state by order id and path."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._notes: dict[str, str] = {}
        self._lost = True

    def load(self) -> None:
        """Read the file; while it cannot be read, no script runs that it may have named."""
        self._lost = False
        try:
            self._notes = dict(parse_json(read_file(self._path)))
        except NotFound:
            self._notes = {}
        except (PenguinDomeError, ValueError, TypeError) as error:
            log.error("What was noted about standing scripts is lost: {}", error)  # noqa: TRY400 -- no bug
            self._lost = True

    def state(self, one: TreeFile) -> str:
        """Return how a script ended, STARTED, LOST, or "" if it never ran."""
        return LOST if self._lost else self._notes.get(_key(one), "")

    def note(self, one: TreeFile, state: str) -> None:
        """Keep a script's state; it is on the disk when this returns."""
        self._notes[_key(one)] = state
        write_file(self._path, canonical_json(self._notes))

    def keep_only(self, origins: Collection[str]) -> None:
        """Forget the scripts of orders that no tree has: these never come again."""
        kept = {key: state for key, state in self._notes.items() if key.split("/")[0] in origins}
        if kept != self._notes:
            self._notes = kept
            write_file(self._path, canonical_json(kept))


class Scripts:
    """Runs the standing scripts that an order brought.

    Args:
        releases: The trees.
        runner: Runs one.
        failpoint: For tests of crashes.
    """

    def __init__(
        self, releases: Releases, runner: ScriptRunner, failpoint: Failpoint = no_failpoint
    ) -> None:
        self._releases = releases
        self._runner = runner
        self._failpoint = failpoint

    async def run(self, order: Order, progress: Progress) -> None:
        """Run those that did not run yet; say what became of those that a crash interrupted."""
        for one in standing(self._releases.checked.tree):
            if one.origin != order.order_id:
                continue
            state = self._releases.notes.state(one)
            if state == STARTED:
                self._end(one, progress, Outcome("interrupted", code="interrupted"))
            elif not state:
                try:
                    await self._run_one(order, one, progress)
                except PenguinDomeError as error:  # a full disk: what is in force stays so
                    log.warning("Script {} does not run: {}", one.entry.path, error)

    async def _run_one(self, order: Order, one: TreeFile, progress: Progress) -> None:
        part = one.entry.path
        try:
            script = self._releases.file(one).read()
        except PenguinDomeError as error:
            self._end(one, progress, Outcome("failed", str(error), code=error.code))
            return
        self._releases.notes.note(one, STARTED)
        self._failpoint("release.script-noted")
        progress.running(part=part)
        outcome = await self._runner.run(order, part, script, progress)
        self._failpoint("release.script-ran")
        self._end(one, progress, outcome)

    def _end(self, one: TreeFile, progress: Progress, outcome: Outcome) -> None:
        self._releases.notes.note(one, outcome.state)
        log.info("Script {} of order {}: {}", one.entry.path, one.origin, outcome.state)
        self._failpoint("release.script-ended")
        if outcome.state == "succeeded":
            self._releases.finish_script(one.entry.path)
        progress.ended(one.entry.path, outcome)


def standing(tree: Tree) -> list[TreeFile]:
    """Return the scripts that are still there, in order of names."""
    return [
        one
        for path, one in sorted(tree.present().items())
        if path.startswith(_PREFIX) and path.count("/") == 1 and one.entry.mode == 0o755
    ]


def _key(one: TreeFile) -> str:
    return f"{one.origin}/{one.entry.path}"
