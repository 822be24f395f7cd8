"""The checks in force: the shipped ones, overridden and extended by the site's directory.

A file of the site replaces the shipped check of the same name, or switches it off with
`enabled: false`. A file that cannot be read keeps what it said before, and is listed as a problem.
"""

from __future__ import annotations

import asyncio
import stat
from dataclasses import dataclass, field
from importlib import resources
from typing import TYPE_CHECKING

from penguind.domain.calendar import usual_calendars
from penguind.domain.check import Check, parse_check
from penguind.domain.yaml_text import MAX_DOCUMENT_LENGTH
from penguindome.errors import InvalidInput
from penguindome.logs import logger

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping
    from pathlib import Path

    from penguind.domain.calendar import Calendars

log = logger("checks")

POLL_SECONDS = 3.0
MAX_FILES = 500
_ENDINGS = (".yaml", ".yml")
# inode, size, modification and change time in nanoseconds
Stamp = tuple[int, int, int, int]


@dataclass(frozen=True, slots=True)
class CheckProblem:
    """A file that was not loaded, and why."""

    origin: str
    reason: str


@dataclass(frozen=True, slots=True)
class CheckSet:
    """The checks in force by name, files that could not be loaded, and calendars by name."""

    checks: Mapping[str, Check] = field(default_factory=dict)
    problems: tuple[CheckProblem, ...] = ()
    calendars: Calendars = field(default_factory=usual_calendars)

    def rules(self) -> tuple[Check, ...]:
        """Return the checks that judge devices, by name."""
        return tuple(one for one in self.checks.values() if one.fails is not None)

    def get(self, name: str) -> Check | None:
        """Return a check, None if none of that name is in force."""
        return self.checks.get(name)


@dataclass(slots=True)
class _File:
    """What a file of the site said when it was last good."""

    stamp: Stamp
    check: Check | None = None
    problem: str = ""


class CheckLoader:
    """Keeps the set of checks in step with the site's directory."""

    def __init__(self, directory: Path | None = None, calendars: Calendars | None = None) -> None:
        self._directory = directory
        self._calendars = usual_calendars() if calendars is None else calendars
        self._shipped = shipped_checks()
        self._files: dict[str, _File] = {}
        self._fault = ""
        self.current = self._combine()

    def refresh(self) -> bool:
        """Read what changed in the directory; tells whether the set is another one now."""
        before = self.current
        paths = self._list()
        for gone in set(self._files) - {path.name for path in paths}:
            del self._files[gone]
        for path in paths:
            self._read(path)
        self.current = self._combine()
        for problem in set(self.current.problems) - set(before.problems):
            log.warning("Check file {} is not used: {}", problem.origin, problem.reason)
        return self.current != before

    async def run(self, on_changed: Callable[[], None]) -> None:
        """Look at the directory every few seconds for ever; call back after each change."""
        while True:
            await asyncio.sleep(POLL_SECONDS)
            if await asyncio.to_thread(self.refresh):
                log.info("{} checks are in force now", len(self.current.checks))
                on_changed()

    def _list(self) -> list[Path]:
        self._fault = ""
        if self._directory is None:
            return []
        try:
            names = [one for one in self._directory.iterdir() if _is_check_file(one.name)]
        except (FileNotFoundError, NotADirectoryError):
            return []
        except OSError as error:
            self._fault = f"cannot be read: {error.strerror}"
            return [self._directory / name for name in self._files]
        if len(names) > MAX_FILES:
            self._fault = f"has more than {MAX_FILES} files; only the first are used"
        return sorted(names)[:MAX_FILES]

    def _read(self, path: Path) -> None:
        known = self._files.get(path.name)
        try:
            stamp = _stamp(path)
            if known is not None and known.stamp == stamp:
                return
            check = parse_check(_text(path), origin=path.name, calendars=self._calendars)
        except OSError as error:
            self._keep(path.name, known, f"cannot be read: {error.strerror}")
        except InvalidInput as error:
            self._keep(path.name, known, error.text(), _stamp_or_none(path))
        else:
            self._files[path.name] = _File(stamp, check)

    def _keep(
        self, name: str, known: _File | None, problem: str, stamp: Stamp | None = None
    ) -> None:
        # An unreadable file has no stamp, so that it is tried again next time.
        former = known.check if known else None
        self._files[name] = _File(stamp or (0, 0, 0, 0), former, problem[:1000])

    def _combine(self) -> CheckSet:
        checks = dict(self._shipped)
        problems = [CheckProblem(str(self._directory), self._fault)] if self._fault else []
        owners: dict[str, str] = {}
        for name, file in sorted(self._files.items()):
            if file.problem:
                problems.append(CheckProblem(name, file.problem))
            if file.check is None:
                continue
            if owner := owners.get(file.check.name):
                problems.append(CheckProblem(name, f"{owner} has a check of the same name"))
                continue
            owners[file.check.name] = name
            checks[file.check.name] = file.check
        enabled = {name: checks[name] for name in sorted(checks) if checks[name].enabled}
        return CheckSet(enabled, tuple(problems), self._calendars)


def shipped_checks() -> dict[str, Check]:
    """Return the checks of the package, by name."""
    folder = resources.files("penguind.checks")
    texts = [one.read_text("utf-8") for one in folder.iterdir() if _is_check_file(one.name)]
    return _by_name(parse_check(text) for text in texts)


def _by_name(checks: Iterable[Check]) -> dict[str, Check]:
    return {one.name: one for one in sorted(checks, key=lambda one: one.name)}


def _is_check_file(name: str) -> bool:
    return name.endswith(_ENDINGS) and not name.startswith(".")


def _stamp(path: Path) -> Stamp:
    found = path.stat()
    if not stat.S_ISREG(found.st_mode):
        raise InvalidInput("is not a file")
    return found.st_ino, found.st_size, found.st_mtime_ns, found.st_ctime_ns


def _stamp_or_none(path: Path) -> Stamp | None:
    try:
        return _stamp(path)
    except (OSError, InvalidInput):
        return None


def _text(path: Path) -> str:
    with path.open("rb") as stream:
        data = stream.read(4 * MAX_DOCUMENT_LENGTH + 1)
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise InvalidInput("is not UTF-8") from error
