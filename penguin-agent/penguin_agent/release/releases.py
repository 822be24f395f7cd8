"""The trees of this device: which one is in force, whether it is whole, and how to change that.

Everything that others ask about releases they ask here. What looks at all of a tree is slow:
called away from the event loop.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

from logbook import Logger

from penguin_agent.failpoints import no_failpoint
from penguin_agent.release.blobs import Blobs
from penguin_agent.release.changes import changed_plugins
from penguin_agent.release.folder import TreeFolder
from penguin_agent.release.gate import STARTS_LIMIT
from penguin_agent.release.gate_file import GateFile, Trial
from penguin_agent.release.plugins import SignedFile, signed_plugins
from penguin_agent.release.scripts import ScriptNotes, standing
from penguin_agent.release.tree import PACKAGE, TREE_JSON, payloads
from penguin_agent.release.verify import Checked, Verifier
from penguindome.errors import Damaged, PenguinDomeError, PreconditionFailed

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from datetime import timedelta
    from pathlib import Path

    from penguin_agent.collect.discovery import Signed
    from penguin_agent.failpoints import Failpoint
    from penguin_agent.release.sealed import Programs
    from penguin_agent.release.tree import Tree, TreeFile, TreeName
    from penguin_agent.release.verify import Owner
    from penguindome.trust_document import TrustDocument

log = Logger(__name__)

CURRENT = "current"


class Releases:
    """The trees.

    Args:
        directory: The folder `releases`; root's alone.
        programs: Makes something to run of bytes.
        documents: The trust documents that the device verified, newest first.
        owner: This device.
        package: The folder of the package's own plugins.
        failpoint: For tests of crashes.
    """

    def __init__(
        self,
        directory: Path,
        programs: Programs,
        *,
        documents: Callable[[], Sequence[TrustDocument]],
        owner: Owner,
        package: Path,
        failpoint: Failpoint = no_failpoint,
    ) -> None:
        self.folder = TreeFolder(directory)
        self.blobs = Blobs(directory / "blobs", failpoint)
        self.gate = GateFile(directory / "gate.json")
        self.notes = ScriptNotes(directory / "scripts.json")
        self.checked = Checked()
        self.programs = programs
        self._package = package
        self._verifier = Verifier(self.folder, documents, owner)
        self._failpoint = failpoint
        self._listeners: list[Callable[[], object]] = []

    @property
    def number(self) -> int:
        """Return the number of the release in force; 0 for the package's own."""
        return self.checked.tree.name.number

    def on_change(self, listener: Callable[[], object]) -> None:
        """Have somebody called whenever another tree is in force."""
        self._listeners.append(listener)

    def start(self) -> None:
        """Clear up what a crash left, and look at the tree in force; never raises for its state."""
        self.programs.find_out()
        self.notes.load()
        try:
            self.folder.prepare()
            self.blobs.prepare()
            trial = self.gate.read()
            if trial is not None and trial.is_pending:
                self._count_start(trial)
            self.look()
            self._finish_scripts()
        except (PenguinDomeError, OSError) as error:
            # A full disk, mostly: the device has to report nevertheless.
            log.error("What was left of an installation stays: {}", error)  # noqa: TRY400 -- no bug
            self.look()

    def look(self) -> None:
        """Verify the tree in force, all of it."""
        try:
            name = self.folder.current()
        except (Damaged, OSError):
            self.checked = Checked(altered=(CURRENT,))
            return
        self.checked = self._verifier.check(name)
        for path in self.checked.altered:
            log.error("Release {}: {} is not as it was signed", name, path)

    def note_altered(self, path: str) -> None:
        """Note that a file is another one than it was when all were verified."""
        if path not in self.checked.altered:
            log.error("Release {}: {} is not as it was signed", self.checked.tree.name, path)
            self.checked = replace(self.checked, altered=(*self.checked.altered, path))

    def signed(self, deadline: timedelta) -> Signed | None:
        """Return the plugins of the tree in force; None for the package's own."""
        return signed_plugins(
            self.checked,
            self.folder.path(self.checked.tree.name),
            self.programs,
            altered=self.note_altered,
            deadline=deadline,
        )

    def changed(self, tree: Tree) -> tuple[str, ...]:
        """Return the names of plugins that a tree would bring or change."""
        return changed_plugins(self.checked.tree, tree, self._package)

    def file(self, one: TreeFile) -> SignedFile:
        """Return a file of the tree in force, to be read or run."""
        folder = self.folder.path(self.checked.tree.name)
        return SignedFile(folder, one.entry, self.programs, self.note_altered)

    def enter(self, tree: Tree, order_id: str, judged: Sequence[str]) -> Trial:
        """Put a release in force, on trial; it was made and verified before."""
        trial = Trial(order_id, tree.name, self._name_in_force(), judged=tuple(judged))
        self.gate.write(trial)
        self._failpoint("release.gate-written")
        try:
            self.switch(tree)
        except PenguinDomeError:
            self.gate.forget()
            raise
        return trial

    def switch(self, tree: Tree) -> None:
        """Put a tree in force that was verified just now."""
        self.folder.switch(tree.name)
        self._failpoint("release.switched")
        self.checked = Checked(tree)
        for listener in self._listeners:
            listener()

    def go_back(self, trial: Trial) -> Trial:
        """Put the tree before a release in force again, or the newest older one that is whole."""
        target = self._whole_before(trial.name, trial.before)
        self.folder.switch(target)
        self._failpoint("release.returned")
        ended = trial.returned(target)
        self.gate.write(ended)
        self.folder.remove(trial.name)
        log.error("Release {} is taken back to {}: {}", trial.name, target, trial.reason)
        self.look()
        for listener in self._listeners:
            listener()
        return ended

    def step_back(self) -> TreeName:
        """Put the newest older tree that is whole in force, or the package's own; return it."""
        name = self._name_in_force()
        if name == PACKAGE.name:
            raise PreconditionFailed("the package's own release is in force already")
        target = self._whole_before(name)
        trial = self.gate.read()
        if trial is not None and trial.is_pending:
            # So that whoever ordered it hears of it, and it is not begun again.
            ended = trial.failing("root put the release before it back", "rolled-back")
            self.gate.write(ended.returned(target))
        self.folder.switch(target)
        return target

    def check_patchable(self) -> None:
        """Refuse to build on a tree of which nobody knows what belongs to it.

        Raises:
            Damaged: `altered`.
        """
        for name in (TREE_JSON, CURRENT):
            if name in self.checked.altered:
                raise Damaged(
                    "the release in force is not as it was signed",
                    code="altered",
                    subject=name,
                    remedy="Publish a release, which does not build on it",
                )

    def prune(self) -> None:
        """Remove trees, contents and notes that nothing needs any more, as far as that works."""
        try:
            trial = self.gate.read()
            needed = trial.before if trial is not None and trial.is_pending else None
            self.folder.prune(self.checked.tree.name, needed)
            self.blobs.clean()
            self._failpoint("release.pruned")
            self.notes.keep_only(self._origins())
        except (PenguinDomeError, OSError) as error:
            log.warning("Old releases are not removed yet: {}", error)

    def finish_script(self, path: str) -> None:
        """Remove a standing script that ran well; the list says so first."""
        tree = self.checked.tree.with_done(path)
        self.folder.write_list(tree)
        self._failpoint("release.script-listed")
        self.checked = replace(self.checked, tree=tree)
        self.folder.remove_file(tree.name, path)

    def words(self) -> dict[str, Any]:
        """Return what `penguin-agent status` says about the tree in force."""
        tree = self.checked.tree
        trial = self.gate.read()
        return {
            "name": str(tree.name),
            "label": tree.label,
            "altered": list(self.checked.altered),
            "on_trial": trial is not None and trial.is_pending,
            "sealed": self.programs.is_sealed,
            "scripts": {one.entry.path: self.notes.state(one) for one in standing(tree)},
        }

    def _count_start(self, trial: Trial) -> None:
        """Go back when the agent starts again and again since a switch."""
        if self._name_in_force() != trial.name:
            self.gate.forget()  # the switch never came: what ordered it goes on
            return
        counted = replace(trial, starts=trial.starts + 1)
        if counted.starts >= STARTS_LIMIT:
            reason = f"the agent started {counted.starts} times before the release proved itself"
            self.go_back(counted.failing(reason, "gate-starts"))
        else:
            self.gate.write(counted)

    def _name_in_force(self) -> TreeName:
        try:
            return self.folder.current()
        except Damaged:
            return PACKAGE.name

    def _whole_before(self, name: TreeName, *wanted: TreeName) -> TreeName:
        older = [each for each in self.folder.names() if each < name]
        for each in (*wanted, *reversed(older)):
            if self._verifier.check(each).is_whole:
                return each
        return PACKAGE.name

    def _finish_scripts(self) -> None:
        """Remove scripts that ran well before a crash."""
        tree = self.checked.tree
        for path in set(tree.done) & set(self.checked.altered):
            self.folder.remove_file(tree.name, path)
        for one in standing(tree):
            if self.notes.state(one) == "succeeded":
                self.finish_script(one.entry.path)
        if tree.done:
            self.look()

    def _origins(self) -> set[str]:
        found = set()
        for name in self.folder.names():
            try:
                found |= {payload.id for payload in payloads(self.folder.read(name))}
            except PenguinDomeError:
                continue
        return found
