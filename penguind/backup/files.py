"""Which files make a server, besides its database: state folder, settings, the site's checks."""

from __future__ import annotations

import os
import stat
from pathlib import Path
from typing import TYPE_CHECKING

from penguind.backup.contents import DATABASE_FOLDER, FileEntry
from penguindome.durable import raise_for

if TYPE_CHECKING:
    from collections.abc import Iterator

    from penguind.config import Settings

#: What is kept in the state folder while a restore has not ended.
RESTORING = ".restoring"
#: What a restore moved out of the way begins with.
ASIDE = ".before-restore-"
_LARGEST_CHECK_BYTES = 1 << 20


def held_files(settings: Settings) -> Iterator[tuple[FileEntry, Path]]:
    """Yield every file that a backup holds, and where it is; the settings first."""
    yield FileEntry("settings", "penguind.toml", 0o640), settings.path.resolve()
    state_dir, backups = settings.server.state_dir, settings.backup.directory
    skipped = {state_dir / DATABASE_FOLDER, backups}
    for path in _walk(state_dir, skipped):
        yield FileEntry("state", _relative(path, state_dir), _mode(path)), path
    checks = settings.checks_directory
    for path in sorted(checks.glob("*.y*ml")) if checks.is_dir() else ():
        if path.is_file() and path.stat().st_size <= _LARGEST_CHECK_BYTES:
            yield FileEntry("checks", path.name, _mode(path)), path.resolve()


def outside_files(settings: Settings) -> list[str]:
    """Return files that the settings name and that stand elsewhere, so that nobody misses them."""
    database, smtp = settings.database, settings.alerts.smtp
    named = {
        *(path for one in settings.listeners for path in (one.certificate, one.key)),
        *(database.password_file, database.tls_ca_file, smtp.ca_file),
        *settings.alerts.secret_files(),
        *settings.backup.encrypt_to,
    }
    state_dir = settings.server.state_dir
    return sorted(
        str(path) for path in named if path is not None and not path.is_relative_to(state_dir)
    )


def _walk(folder: Path, skipped: set[Path | None]) -> Iterator[Path]:
    """Yield regular files below a folder, without following links."""
    try:
        found = sorted(os.scandir(folder), key=lambda one: one.name)
    except OSError as error:
        raise_for(error, folder)
    for one in found:
        path = Path(one.path)
        # A name with a dot is temporary, or what a restore left.
        if path in skipped or one.name.startswith("."):
            continue
        if one.is_dir(follow_symlinks=False):
            yield from _walk(path, skipped)
        elif one.is_file(follow_symlinks=False):
            yield path


def _relative(path: Path, root: Path) -> str:
    return path.relative_to(root).as_posix()


def _mode(path: Path) -> int:
    return stat.S_IMODE(path.lstat().st_mode)
