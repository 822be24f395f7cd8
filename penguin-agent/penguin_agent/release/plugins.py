"""The plugins of a signed tree: those in its list, run from the bytes that were verified."""

from __future__ import annotations

from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING

from penguin_agent.collect.discovery import Signed, passed_over, plugin_name
from penguin_agent.collect.runner import PluginSpec
from penguin_agent.release.beneath import opened, read_checked
from penguin_agent.release.tree import TREE_JSON
from penguindome.durable import raise_for
from penguindome.errors import Damaged

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from datetime import timedelta
    from pathlib import Path

    from penguin_agent.collect.runner import Program
    from penguin_agent.release.sealed import Programs
    from penguin_agent.release.tree import Tree
    from penguin_agent.release.verify import Checked
    from penguindome.orders.manifest import FileEntry

ALTERED = "is not as it was signed"
_FOLDER = "plugins/"


@dataclass(frozen=True, slots=True)
class SignedFile:
    """A program in a tree.

    Attributes:
        folder: The tree's.
        entry: What was signed.
        programs: Makes something to run of bytes.
        altered: Told the path when the file is another one by now.
    """

    folder: Path
    entry: FileEntry
    programs: Programs
    altered: Callable[[str], None]

    def read(self) -> bytes:
        """Return its bytes as they were signed.

        Raises:
            Damaged: They are others by now.
            PreconditionFailed: The tree's folder cannot be opened.
        """
        try:
            with opened(self.folder) as top:
                return read_checked(top, self.entry)
        except Damaged:
            self.altered(self.entry.path)
            raise
        except OSError as error:
            self.altered(self.entry.path)
            raise_for(error, self.folder)

    @contextmanager
    def lent(self) -> Iterator[Program]:
        """Lend it to be run; the bytes that run are those that were compared."""
        name = self.entry.path.rpartition("/")[2]
        with self.programs.lent(name, self.read()) as program:
            yield program


def signed_plugins(
    checked: Checked,
    folder: Path,
    programs: Programs,
    *,
    altered: Callable[[str], None],
    deadline: timedelta,
) -> Signed | None:
    """Return the plugins of a tree; None where the package's own tree is in force.

    Args:
        checked: The tree, and which of its files may not run.
        folder: The tree's.
        programs: Makes something to run of bytes.
        altered: Told when a file is another one at the time when it is to run.
        deadline: For each run.
    """
    tree = checked.tree
    if tree.is_package:
        return None
    plugins: list[PluginSpec] = []
    problems = [(TREE_JSON, ALTERED)] if TREE_JSON in checked.altered else []
    for path, one in tree.present().items():
        if not is_plugin(path) or one.entry.mode != 0o755:
            continue
        name = plugin_name(folder / path)
        if name in tree.settings.disabled_plugins:
            continue
        if path in checked.altered:
            problems.append((name, ALTERED))
            continue
        file = SignedFile(folder, one.entry, programs, altered)
        plugins.append(PluginSpec(name, folder / path, deadline=deadline, opener=file.lent))
    return Signed(
        plugins=tuple(plugins),
        problems=tuple(problems),
        over_package=tree.name.number == 0,
        hidden=hidden_names(tree),
    )


def hidden_names(tree: Tree) -> frozenset[str]:
    """Return file names of the package's own plugins that a tree replaces or removes."""
    named = (*tree.removed, *(one.entry.path for one in tree.files))
    return frozenset(path.removeprefix(_FOLDER) for path in named if is_plugin(path))


def is_plugin(path: str) -> bool:
    """Tell whether a path is where plugins are."""
    name = path.removeprefix(_FOLDER)
    return path.startswith(_FOLDER) and "/" not in name and not passed_over(name)
