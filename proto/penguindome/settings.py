"""Read settings from TOML: typed, bounded, and with an error for every key that nobody asked for.

A reader asks a `Section` for each key it knows and then calls `finish`.
"""

from __future__ import annotations

import difflib
import tomllib
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, TypeVar

from penguindome.durable import read_file
from penguindome.errors import InvalidInput, NotFound
from penguindome.times import parse_duration

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

SIZE_LIMIT_BYTES = 1024 * 1024
Unit = Literal["seconds", "minutes", "hours", "days"]
_T = TypeVar("_T")


def read_settings(path: Path | None, *, dropins: Path | None = None) -> Section:
    """Return the settings in a file and in a folder of drop-ins, the later winning.

    Args:
        path: The file; None means that all defaults apply.
        dropins: A folder whose `*.toml` are read by name on top; may be missing.

    Raises:
        NotFound: The file does not exist.
        InvalidInput: A file is not TOML; names file and line.
    """
    values: dict[str, Any] = {}
    sources: dict[str, str] = {}
    files = [] if path is None else [path]
    files += sorted(dropins.glob("*.toml")) if dropins is not None else []
    for file in files:
        _merge(values, _load(file), str(file), sources, "")
    return Section(values, "", sources, str(path or "settings"))


class Section:
    """Hand out the values of one table, and remember which keys were asked for."""

    def __init__(
        self,
        values: Mapping[str, Any],
        name: str = "",
        sources: Mapping[str, str] | None = None,
        origin: str = "settings",
    ) -> None:
        self._values = values
        self._name = name
        self._sources = sources or {}
        self._origin = origin
        self._asked: dict[str, Section | None] = {}

    def text(self, name: str, default: str | None = None, choices: Sequence[str] = ()) -> str:
        """Return a string; without a default it must be there."""
        value = self._typed(name, str, default, "a string")
        if "\0" in value:
            raise self.error(name, "holds NUL")
        if choices and value not in choices:
            near = _near(value, choices)
            raise self.error(name, f"is {value[:60]!r}; possible: {', '.join(choices)}", near)
        return value

    def boolean(self, name: str, default: bool | None = None) -> bool:  # noqa: FBT001 -- a default
        """Return true or false."""
        return self._typed(name, bool, default, "true or false")

    def integer(
        self, name: str, default: int | None = None, minimum: int = 0, maximum: int = 2**31 - 1
    ) -> int:
        """Return a whole number within bounds."""
        value = self._typed(name, int, default, "a whole number")
        self._bounded(name, value, minimum, maximum)
        return value

    def number(
        self,
        name: str,
        default: float | None = None,
        minimum: float = 0.0,
        maximum: float = 1e15,
    ) -> float:
        """Return a number within bounds."""
        value = self._ask(name)
        if isinstance(value, int) and not isinstance(value, bool):
            value = float(value)
        value = self._checked(name, value, float, default, "a number")
        self._bounded(name, value, minimum, maximum)
        return value

    def texts(self, name: str, default: Sequence[str] = ()) -> tuple[str, ...]:
        """Return a list of strings."""
        value = self._typed(name, list, list(default), "a list of strings")
        if not all(isinstance(item, str) for item in value):
            raise self.error(name, "must be a list of strings")
        return tuple(value)

    def duration(
        self,
        name: str,
        default: timedelta,
        unit: Unit,
        *,
        minimum: timedelta = timedelta(),
        maximum: timedelta = timedelta(days=36_525),
    ) -> timedelta:
        """Return a span, written as a number of the unit or as text such as `4h`."""
        value = self._ask(name)
        if value is None:
            return default
        if isinstance(value, str):
            span = self._parsed(name, value)
        elif isinstance(value, int | float) and not isinstance(value, bool):
            span = self._span(name, value, unit)
        else:
            raise self.error(name, f"must be a number of {unit}")
        if not minimum <= span <= maximum:
            raise self.error(name, f"must be between {minimum} and {maximum}")
        return span

    def path(self, name: str, default: Path | str = "") -> Path:
        """Return an absolute path; `Path("")` (which is `.`) where default and value are empty."""
        value = self.text(name, str(default) if str(default) != "." else "")
        if value and not Path(value).is_absolute():
            raise self.error(name, f"is {value[:60]!r}, which is no absolute path")
        return Path(value)

    def section(self, name: str) -> Section:
        """Return a table as a section; an empty one where it is missing."""
        known = self._asked.get(name)
        if known is not None:
            return known
        values = self._typed(name, dict, {}, "a table")
        child = Section(values, self._dotted(name), self._sources, self._origin)
        self._asked[name] = child
        return child

    def table(self, name: str) -> Mapping[str, Any]:
        """Return a table whose keys are the user's own."""
        return dict(self._typed(name, dict, {}, "a table"))

    def finish(self) -> None:
        """Check that nothing is left which nobody asked for.

        Raises:
            InvalidInput: A key is unknown; names its file and a similar one.
        """
        for name in self._values:
            if name not in self._asked:
                raise self.error(name, "is unknown", _near(name, list(self._asked)))
        for child in self._asked.values():
            if child is not None:
                child.finish()

    def error(self, name: str, reason: str, remedy: str = "") -> InvalidInput:
        """Return the error about a key, which names file and key."""
        dotted = self._dotted(name)
        source = self._sources.get(dotted, self._origin)
        return InvalidInput(f"{dotted} {reason}", code="bad-setting", subject=source, remedy=remedy)

    def _dotted(self, name: str) -> str:
        return f"{self._name}.{name}" if self._name else name

    def _ask(self, name: str) -> Any:
        self._asked.setdefault(name, None)
        return self._values.get(name)

    def _typed(self, name: str, kind: type[_T], default: _T | None, what: str) -> _T:
        return self._checked(name, self._ask(name), kind, default, what)

    def _checked(self, name: str, value: Any, kind: type[_T], default: _T | None, what: str) -> _T:
        if value is None:
            if default is None:
                raise self.error(name, "is missing", f"Set it to {what}")
            return default
        if not isinstance(value, kind) or (isinstance(value, bool) and kind is not bool):
            raise self.error(name, f"must be {what}")
        return value

    def _bounded(self, name: str, value: float, minimum: float, maximum: float) -> None:
        if not minimum <= value <= maximum:
            raise self.error(name, f"is {value}; it must be between {minimum} and {maximum}")

    def _parsed(self, name: str, value: str) -> timedelta:
        try:
            return parse_duration(value)
        except InvalidInput as error:
            raise self.error(name, f"is wrong: {error.reason}", error.remedy) from None

    def _span(self, name: str, value: float, unit: Unit) -> timedelta:
        try:
            return timedelta(**{unit: value})
        except (OverflowError, ValueError):
            raise self.error(name, "is out of bounds") from None


def _load(path: Path) -> dict[str, Any]:
    subject = str(path)
    try:
        # A settings file may be a link on purpose, e.g. on an image-based system.
        return tomllib.loads(read_file(path.resolve(), SIZE_LIMIT_BYTES).decode("utf-8"))
    except NotFound:
        raise NotFound(
            "there is no such settings file", code="settings-missing", subject=subject
        ) from None
    except UnicodeDecodeError:
        raise InvalidInput("is not UTF-8", code="bad-setting", subject=subject) from None
    except RecursionError:
        raise InvalidInput("is nested too deeply", code="bad-setting", subject=subject) from None
    except ValueError as error:
        raise InvalidInput(
            f"is not TOML: {error}",
            code="bad-setting",
            subject=subject,
            remedy="Correct that line; texts stand in quotes",
        ) from None


def _merge(
    values: dict[str, Any], more: Mapping[str, Any], file: str, sources: dict[str, str], name: str
) -> None:
    """Put newer values over older ones, table by table, and note who set what."""
    for key, value in more.items():
        dotted = f"{name}.{key}" if name else key
        sources[dotted] = file
        if isinstance(value, dict) and isinstance(values.get(key), dict):
            _merge(values[key], value, file, sources, dotted)
            continue
        if isinstance(value, dict):
            values[key] = {}
            _merge(values[key], value, file, sources, dotted)
            continue
        values[key] = value


def _near(name: str, known: Sequence[str]) -> str:
    found = difflib.get_close_matches(name, known, 1)
    return f"Did you mean {found[0]}?" if found else ""
