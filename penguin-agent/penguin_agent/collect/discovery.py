"""Find the plugins of this device: the shipped tree, and root's own local folder.

Trust: whatever is found here runs with the agent's rights. Each folder and file must belong to
root or to the agent's own user and be writable by nobody else; what is refused is named.
"""

from __future__ import annotations

import os
import stat
from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING

from penguin_agent.collect.runner import PluginSpec

if TYPE_CHECKING:
    from pathlib import Path
from penguindome.reports import valid_plugin_name

_OTHERS_WRITE = stat.S_IWGRP | stat.S_IWOTH


@dataclass(frozen=True, slots=True)
class Discovery:
    """Plugins sorted by name, and (name, reason) of everything that looked like one but is not."""

    plugins: tuple[PluginSpec, ...]
    problems: tuple[tuple[str, str], ...]


@dataclass(frozen=True, slots=True)
class Signed:
    """What operators signed, in place of the shipped tree or over it.

    Attributes:
        plugins: What may run.
        problems: Name and reason of what may not.
        over_package: Whether the shipped tree is in force beneath.
        hidden: File names of the shipped tree that are replaced or removed.
    """

    plugins: tuple[PluginSpec, ...]
    problems: tuple[tuple[str, str], ...] = ()
    over_package: bool = False
    hidden: frozenset[str] = frozenset()


def find_plugins(
    shipped: Path,
    local: Path,
    *,
    deadline: timedelta = timedelta(seconds=60),
    signed: Signed | None = None,
) -> Discovery:
    """Return the plugins of both folders; a shipped plugin wins over a local one of its name.

    Args:
        shipped: The package's own.
        local: The device's own.
        deadline: For one run.
        signed: The tree that operators signed, which wins over both; None where there is none.
    """
    plugins: dict[str, PluginSpec] = {}
    problems: list[tuple[str, str]] = []
    if signed is not None:
        _take_signed(signed, plugins, problems)
    hidden = signed.hidden if signed else frozenset()
    with_package = signed is None or signed.over_package
    for folder, is_local in ((shipped, False), (local, True))[0 if with_package else 1 :]:
        reason = _folder_problem(folder, needed=not is_local)
        if reason:
            problems.append((str(folder), reason))
            continue
        for path in _candidates(folder):
            if path.name in hidden and not is_local:
                continue
            name = plugin_name(path)
            reason = _file_problem(path) or _name_problem(name, plugins)
            if reason:
                problems.append((path.name, reason))
            else:
                plugins[name] = PluginSpec(name, path, local=is_local, deadline=deadline)
    return Discovery(tuple(plugins[name] for name in sorted(plugins)), tuple(problems))


def _take_signed(
    signed: Signed, plugins: dict[str, PluginSpec], problems: list[tuple[str, str]]
) -> None:
    problems.extend(signed.problems)
    for spec in signed.plugins:
        if reason := _name_problem(spec.name, plugins):
            problems.append((spec.path.name, reason))
        else:
            plugins[spec.name] = spec


def plugin_name(path: Path) -> str:
    """Return the key of a plugin's output: the file's name without its last ending."""
    return path.stem


def _candidates(folder: Path) -> list[Path]:
    """Return the executables of a folder that mean to be plugins, sorted."""
    try:
        paths = sorted(path for path in folder.iterdir() if not passed_over(path.name))
    except OSError:
        return []
    return [path for path in paths if not path.is_dir() and os.access(path, os.X_OK)]


def passed_over(name: str) -> bool:
    """Tell whether a file's name says that it is no plugin."""
    return name.startswith(".") or name.endswith("~") or name == "__init__.py"


def _folder_problem(folder: Path, *, needed: bool) -> str:
    try:
        status = folder.lstat()
    except FileNotFoundError:
        return "the folder of the shipped plugins is missing" if needed else ""
    except OSError as error:
        return f"cannot be read: {error.strerror}"
    if not stat.S_ISDIR(status.st_mode):
        return "is not a folder (a link is not followed)"
    return _owner_problem(status) or _parents_problem(folder)


def _parents_problem(folder: Path) -> str:
    """Return who else could put another folder in this one's place, "" for nobody."""
    for parent in folder.absolute().parents:
        status = parent.stat()
        if status.st_mode & stat.S_ISVTX and status.st_uid == 0:
            continue  # /tmp: nobody else can rename what is ours
        if problem := _owner_problem(status):
            return f"its parent {parent} {problem}"
    return ""


def _file_problem(path: Path) -> str:
    """Return why a file may not run, "" when it may.

    A link is followed only if its target is in the same folder, so that a local plugin cannot be a
    link to a file that somebody else owns.
    """
    try:
        if path.is_symlink() and path.resolve(strict=True).parent != path.parent.resolve():
            return "is a link that leaves its folder"
        status = path.stat()
    except (OSError, RuntimeError) as error:
        return f"cannot be read: {error}"
    if not stat.S_ISREG(status.st_mode):
        return "is not a regular file"
    return _owner_problem(status)


def _owner_problem(status: os.stat_result) -> str:
    if status.st_uid not in (0, os.geteuid()):
        return f"belongs to user {status.st_uid}, not to root; chown root it"
    if status.st_mode & _OTHERS_WRITE:
        return f"can be written by others (mode {stat.S_IMODE(status.st_mode):04o}); chmod go-w it"
    return ""


def _name_problem(name: str, taken: dict[str, PluginSpec]) -> str:
    if not valid_plugin_name(name):
        return "its name is not one of letters, digits, _ and -, at most 64"
    if name in taken:
        return f"has the name of {taken[name].path}, which is used instead"
    return ""
