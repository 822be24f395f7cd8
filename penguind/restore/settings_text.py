"""The settings that will hold: those that are there already, or the backup's, maybe moved."""

from __future__ import annotations

import os
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import tomlkit
from tomlkit.exceptions import TOMLKitError

from penguind.config import load_settings
from penguind.restore.staging import check_fleet
from penguindome.durable import read_file
from penguindome.errors import InvalidInput, PreconditionFailed

if TYPE_CHECKING:
    from penguind.backup.contents import Header
    from penguind.config import Settings

#: Settings that are paths and may lie in the state folder.
_PATHS = (
    ("listen", "certificate"),
    ("listen", "key"),
    ("database", "password_file"),
    ("database", "tls_ca_file"),
)


@dataclass(frozen=True, slots=True)
class Wanted:
    """The settings that will hold: their text and what it says; `kept` if they are there."""

    text: str
    settings: Settings
    kept: bool


def wanted_settings(config: Path, header: Header, text: str, into: Path | None) -> Wanted:
    """Return the settings after the restore.

    Args:
        config: the settings file, which may exist.
        header: the backup's.
        text: the backup's settings.
        into: another state folder than the backup's.

    Raises:
        PreconditionFailed: the file that exists is another fleet's, or says another state folder.
        InvalidInput: settings are not usable.
    """
    if not config.exists():
        moved = _moved(text, header.state_dir, into)
        settings = parsed(moved, config)
        check_fleet(header, settings)
        return Wanted(moved, settings, kept=False)
    settings = load_settings(config)
    check_fleet(header, settings)
    if into is not None and settings.server.state_dir != into:
        raise PreconditionFailed(
            f"server.state_dir is {settings.server.state_dir}, not {into}",
            code="settings-kept",
            subject=str(config),
            remedy="leave --into-state-dir out, or correct the settings",
        )
    return Wanted(read_file(config.resolve()).decode(), settings, kept=True)


def parsed(text: str, config: Path) -> Settings:
    """Return what a text says as settings, without leaving a file.

    Raises:
        InvalidInput: it is not usable; names the key.
    """
    with tempfile.TemporaryDirectory(prefix="pd") as folder:
        path = Path(folder) / config.name
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(descriptor, "w", encoding="utf-8") as file:
            file.write(text)
        return load_settings(path)


def _moved(text: str, before: str, into: Path | None) -> str:
    """Return settings whose state folder is another one, comments and all."""
    if into is None:
        return text
    try:
        document = tomlkit.parse(text)
        document.setdefault("server", tomlkit.table())["state_dir"] = str(into)
        for section, name in _PATHS:
            value = document.get(section, {}).get(name, "")
            if isinstance(value, str) and Path(value).is_relative_to(before):
                document[section][name] = str(into / Path(value).relative_to(before))
        return tomlkit.dumps(document)
    except (TOMLKitError, TypeError, AttributeError) as error:
        raise InvalidInput(f"the backup's settings are not TOML: {error}"[:200]) from error
