"""Make a whole tree beside the one in force, verify it, and only then give it its name.

1. contents: those of the tree in force are taken over, the rest is fetched; 2. a fresh folder, all
files linked into it; 3. every file read back and hashed; 4. files and folders synced; 5. renamed.
A crash at any point leaves the tree in force as it was.
"""

from __future__ import annotations

import asyncio
import os
from typing import TYPE_CHECKING

from logbook import Logger

from penguin_agent.failpoints import no_failpoint
from penguin_agent.release.beneath import opened, sync
from penguin_agent.release.folder import remove
from penguin_agent.release.tree import TREE_JSON, TREE_JSON_LIMIT_BYTES, to_json
from penguin_agent.release.verify import check_files_at
from penguindome.durable import raise_for, write_file
from penguindome.errors import Damaged, LimitExceeded

if TYPE_CHECKING:
    from collections.abc import Iterable
    from datetime import datetime
    from pathlib import Path

    from penguin_agent.failpoints import Failpoint
    from penguin_agent.release.blobs import Blobs
    from penguin_agent.release.fetch import Fetcher
    from penguin_agent.release.folder import TreeFolder
    from penguin_agent.release.tree import Tree, TreeFile
    from penguindome.orders.manifest import FileEntry

log = Logger(__name__)


class Installer:
    """Makes trees.

    Args:
        folder: Where trees are.
        blobs: Where contents are.
        fetcher: Gets what is missing.
        failpoint: For tests of crashes.
    """

    def __init__(
        self,
        folder: TreeFolder,
        blobs: Blobs,
        fetcher: Fetcher,
        failpoint: Failpoint = no_failpoint,
    ) -> None:
        self._folder = folder
        self._blobs = blobs
        self._fetcher = fetcher
        self._failpoint = failpoint

    async def make(self, tree: Tree, *, present: Tree, until: datetime) -> None:
        """Have a tree stand under its name, complete and verified; nothing is switched.

        Args:
            tree: What is wanted.
            present: The tree in force.
            until: When to give up fetching.

        Raises:
            LimitExceeded: The disk is full, or too many patches were put over the release.
            Damaged: A content is not the one that was signed.
            PenguinDomeError: A content could not be fetched.
        """
        if len(to_json(tree)) > TREE_JSON_LIMIT_BYTES:
            raise LimitExceeded(
                "too many patches were put over this release",
                code="too-many-patches",
                remedy="Publish a release that has their files",
            )
        files = list(tree.present().values())
        missing = await asyncio.to_thread(self._missing, files, present)
        await self._fetcher.fetch_all(missing, until)
        self._failpoint("release.fetched")
        await asyncio.to_thread(self._stage, tree)

    def discard(self, tree: Tree) -> None:
        """Remove a tree that is not in force."""
        self._folder.remove(tree.name)

    def _missing(self, files: Iterable[TreeFile], present: Tree) -> list[TreeFile]:
        """Return contents that are nowhere on the device, each once."""
        self._blobs.prepare()
        wanted = {_content(one.entry): one for one in files}
        have = {_content(one.entry): path for path, one in present.present().items()}
        return [
            one
            for content, one in wanted.items()
            if not self._blobs.has(one.entry)
            and not (content in have and self._adopt(one.entry, present, have[content]))
        ]

    def _adopt(self, entry: FileEntry, present: Tree, path: str) -> bool:
        try:
            with opened(self._folder.path(present.name)) as top:
                return self._blobs.adopt(entry, top, path)
        except OSError:
            return False

    def _stage(self, tree: Tree) -> None:
        stage = self._folder.staging(tree.name)
        try:
            self._fill(stage, tree)
            self._folder.take(stage, tree.name)
        except OSError as error:
            remove(stage)
            raise_for(error, stage)
        except BaseException:
            remove(stage)
            raise
        self._failpoint("release.renamed")

    def _fill(self, stage: Path, tree: Tree) -> None:
        with opened(stage) as top:
            for one in tree.present().values():
                self._blobs.link(one.entry, top)
                self._failpoint("release.linked")
            write_file(stage / TREE_JSON, to_json(tree))
            self._failpoint("release.listed")
            if altered := check_files_at(top, tree):
                raise Damaged(
                    "a file changed while the tree was made",
                    code="altered",
                    subject=altered[0],
                    remedy="Find out who changes files of the agent",
                )
            _sync_all(top, tree)
            self._failpoint("release.synced")


def _content(entry: FileEntry) -> tuple[str, int]:
    return entry.sha256, entry.mode


def _sync_all(top: int, tree: Tree) -> None:
    paths = list(tree.present())
    folders = {path[:at] for path in paths for at, char in enumerate(path) if char == "/"}
    for path in paths:
        sync(top, path)
    # The innermost first.
    for path in sorted(folders, key=lambda path: -path.count("/")):
        sync(top, path)
    os.fsync(top)
