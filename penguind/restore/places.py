"""Where a restore keeps what is not finished, in the state folder, and what stands in its way."""

from __future__ import annotations

import shutil
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING

from penguind.backup.files import ASIDE, RESTORING
from penguindome.durable import raise_for, read_file, sync_dir, write_file
from penguindome.errors import NotFound, PreconditionFailed

if TYPE_CHECKING:
    from pathlib import Path

_ATTEMPTS = 20
_PAUSE_SECONDS = 0.1
_NAMES_SHOWN = 8


@dataclass(frozen=True, slots=True)
class Places:
    """The places of one restore below a state folder."""

    state_dir: Path

    @property
    def home(self) -> Path:
        """Return what exists while a restore has not ended; no server starts beside it."""
        return self.state_dir / RESTORING

    @property
    def files(self) -> Path:
        """Return the future contents of the state folder."""
        return self.home / "files"

    @property
    def checks(self) -> Path:
        """Return the future site's checks."""
        return self.home / "checks"

    @property
    def settings(self) -> Path:
        """Return the settings that will hold."""
        return self.home / "penguind.toml"

    @property
    def complete(self) -> Path:
        """Return the file that says that all is there and only has to be moved."""
        return self.home / "complete"

    def completed(self) -> str:
        """Return the id of the backup that is staged whole, empty if none is."""
        try:
            return read_file(self.complete).decode("ascii", "replace").strip()
        except NotFound:
            return ""

    def set_complete(self, backup_id: str) -> None:
        """Say that the rest is only moving."""
        write_file(self.complete, f"{backup_id}\n".encode())

    def occupants(self) -> list[str]:
        """Return the names in the state folder that are neither ours nor moved aside."""
        if not self.state_dir.is_dir():
            return []
        names = sorted(path.name for path in self.state_dir.iterdir())
        return [name for name in names if name != RESTORING and not name.startswith(ASIDE)]

    def check_empty(self) -> None:
        """Check that nothing would be lost.

        Raises:
            PreconditionFailed: naming what is there.
        """
        names = self.occupants()
        if names:
            raise PreconditionFailed(
                f"the state folder is not empty: it holds {', '.join(names[:_NAMES_SHOWN])}",
                code="not-empty",
                subject=str(self.state_dir),
                remedy="restore elsewhere with --into-state-dir, or move what is there aside with "
                "--replace",
            )

    def move_aside(self, stamp: str) -> Path:
        """Move everything into a folder beside it, which nothing ever deletes."""
        aside = self.state_dir / f"{ASIDE}{stamp}"
        try:
            aside.mkdir(mode=0o700, exist_ok=True)
            for name in self.occupants():
                (self.state_dir / name).rename(aside / name)
            sync_dir(self.state_dir)
        except OSError as error:
            raise_for(error, aside)
        return aside

    def clear(self) -> None:
        """Remove what an attempt left."""
        remove_tree(self.home)


def remove_tree(folder: Path) -> None:
    """Remove a folder; a database that was killed may still be leaving it."""
    for _ in range(_ATTEMPTS):
        shutil.rmtree(folder, ignore_errors=True)
        if not folder.exists():
            return
        time.sleep(_PAUSE_SECONDS)
    raise PreconditionFailed(
        "cannot be removed", subject=str(folder), remedy="remove it by hand, and try again"
    )
