"""The folder of trees: one folder each, and the link `current` to the one in force.

Nothing is ever changed in place but the list of what is done: a tree is made under another name
and renamed, `current` is replaced by one rename. Without `current` the package's own tree is in
force.
"""

from __future__ import annotations

import os
import secrets
import shutil
import stat
from contextlib import suppress
from typing import TYPE_CHECKING

from penguin_agent.release.beneath import opened, parent_of
from penguin_agent.release.tree import (
    PACKAGE,
    TREE_JSON,
    TREE_JSON_LIMIT_BYTES,
    Tree,
    TreeName,
    from_json,
    to_json,
    tree_name,
)
from penguindome.durable import make_private_dir, raise_for, read_file, sync_dir, write_file
from penguindome.errors import Damaged, PenguinDomeError

if TYPE_CHECKING:
    from pathlib import Path

FOLDER = "releases"
KEPT = 2
_CURRENT = "current"
_NEW = ".new-"


class TreeFolder:
    """The folder `releases`."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory

    def prepare(self) -> None:
        """Make the folder, and remove what was half made."""
        make_private_dir(self.directory)
        for path in self.directory.iterdir():
            if path.name.startswith(_NEW):
                remove(path)

    def path(self, name: TreeName) -> Path:
        """Return where a tree is."""
        return self.directory / str(name)

    def staging(self, name: TreeName) -> Path:
        """Return a fresh folder in which a tree is made."""
        path = self.directory / f"{_NEW}{name}"
        remove(path)
        make_private_dir(path)
        return path

    def take(self, stage: Path, name: TreeName) -> None:
        """Give a folder that is complete the name of its tree."""
        self.remove(name)  # of an earlier attempt: never the one in force
        stage.rename(self.path(name))
        sync_dir(self.directory)

    def names(self) -> list[TreeName]:
        """Return the trees there are, oldest first."""
        found = [tree_name(path.name) for path in self.directory.iterdir() if _is_folder(path)]
        return sorted(name for name in found if name is not None)

    def current(self) -> TreeName:
        """Return the name of the tree in force.

        Raises:
            Damaged: `current` leads elsewhere than to a tree.
        """
        try:
            target = str((self.directory / _CURRENT).readlink())
        except FileNotFoundError:
            return PACKAGE.name
        except OSError:
            target = ""
        name = tree_name(target)
        if name is None or not _is_folder(self.path(name)):
            raise Damaged("the link to the release in force leads nowhere", subject=_CURRENT)
        return name

    def switch(self, name: TreeName) -> None:
        """Put a tree in force, or the package's own; durable when it returns."""
        link = self.directory / _CURRENT
        try:
            if name == PACKAGE.name:
                link.unlink(missing_ok=True)
            else:
                fresh = self.directory / f"{_NEW}{secrets.token_hex(6)}"
                fresh.symlink_to(str(name))
                fresh.replace(link)
            sync_dir(self.directory)
        except OSError as error:
            raise_for(error, link)

    def read(self, name: TreeName) -> Tree:
        """Return the list of a tree's files.

        Raises:
            Damaged: There is none that its orders confirm.
        """
        if name == PACKAGE.name:
            return PACKAGE
        try:
            tree = from_json(read_file(self.path(name) / TREE_JSON, TREE_JSON_LIMIT_BYTES))
        except PenguinDomeError as error:
            raise Damaged(str(error), code="altered", subject=TREE_JSON) from None
        if tree.name != name:
            raise Damaged("the tree is another one", code="altered", subject=TREE_JSON)
        return tree

    def write_list(self, tree: Tree) -> None:
        """Replace a tree's list of files."""
        write_file(self.path(tree.name) / TREE_JSON, to_json(tree))

    def remove_file(self, name: TreeName, path: str) -> None:
        """Remove a file of a tree, if it is there."""
        try:
            with opened(self.path(name)) as top, parent_of(top, path) as (folder, last):
                with suppress(FileNotFoundError):
                    os.unlink(last, dir_fd=folder)
                os.fsync(folder)
        except OSError as error:
            raise_for(error, self.path(name) / path)

    def prune(self, current: TreeName, needed: TreeName | None = None) -> None:
        """Remove all trees but the one in force and the two before it.

        Args:
            current: The one in force.
            needed: One that may still be returned to.
        """
        names = self.names()
        before = [name for name in names if name < current]
        kept = {current, needed, *before[-KEPT:]}
        for name in names:
            if name not in kept:
                self.remove(name)

    def remove(self, name: TreeName) -> None:
        """Remove a tree; it is not there under its name while it is taken apart."""
        path = self.path(name)
        if not os.path.lexists(path):
            return
        doomed = self.directory / f"{_NEW}{secrets.token_hex(6)}"
        path.rename(doomed)
        sync_dir(self.directory)
        remove(doomed)


def remove(path: Path) -> None:
    """Remove what stands at a path, whatever it is; links are not followed."""
    with suppress(FileNotFoundError):
        if _is_folder(path):
            shutil.rmtree(path)
        else:
            path.unlink()


def _is_folder(path: Path) -> bool:
    with suppress(OSError):
        return stat.S_ISDIR(path.lstat().st_mode)
    return False
