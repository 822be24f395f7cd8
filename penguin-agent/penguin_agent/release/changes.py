"""Which plugins a tree brings or changes, compared with the one in force."""

from __future__ import annotations

from hashlib import sha256
from pathlib import PurePosixPath
from typing import TYPE_CHECKING

from penguin_agent.release.plugins import hidden_names, is_plugin
from penguindome.orders.manifest import FILE_LIMIT_BYTES

if TYPE_CHECKING:
    from pathlib import Path

    from penguin_agent.release.tree import Tree


def changed_plugins(present: Tree, tree: Tree, package: Path) -> tuple[str, ...]:
    """Return the names of plugins that would run in `tree` and are others, or none, at present.

    Args:
        present: The tree in force.
        tree: The one that is to be.
        package: The folder of the package's own plugins.
    """
    before = _running(present, package)
    after = _running(tree, package)
    return tuple(sorted(name for name, digest in after.items() if before.get(name) != digest))


def _running(tree: Tree, package: Path) -> dict[str, str]:
    """Return the hash of each plugin by its name."""
    found = _shipped(package, hidden_names(tree)) if tree.name.number == 0 else {}
    for path, one in tree.present().items():
        name = PurePosixPath(path).stem
        if (
            is_plugin(path)
            and one.entry.mode == 0o755
            and name not in tree.settings.disabled_plugins
        ):
            found[name] = one.entry.sha256
    return found


def _shipped(package: Path, hidden: frozenset[str]) -> dict[str, str]:
    try:
        paths = [path for path in sorted(package.iterdir()) if path.name not in hidden]
        return {path.stem: _digest(path) for path in paths if path.is_file()}
    except OSError:
        return {}


def _digest(path: Path) -> str:
    with path.open("rb") as file:
        return sha256(file.read(FILE_LIMIT_BYTES)).hexdigest()
