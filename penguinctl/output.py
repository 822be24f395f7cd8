"""Answers: tables for people; what programs read stands in `formats`."""

from __future__ import annotations

import json
import shutil
import sys
import textwrap
import unicodedata
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NoReturn

import click

from penguinctl import exits, formats, pager, ui
from penguinctl.ui import Styled
from penguindome.display import printable

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

_NARROWEST = 8

output_option = click.option(
    "-o",
    "--output",
    "output_format",
    type=click.Choice(["table", "json", "yaml", "csv", "ndjson"]),
    default="table",
    show_default=True,
    help="How to answer: a table for people, the others for programs.",
)


@dataclass(frozen=True, slots=True)
class Column:
    """A table's column; one that may shrink is cut with … where a terminal is too narrow.

    Attributes:
        title: What stands above it.
        shrinks: Whether it may be cut.
        least: Where so little is left of it, it is left out.
    """

    title: str
    shrinks: bool = False
    least: int = 0


def width(text: str) -> int:
    """Return how many terminal columns printable text takes."""
    if text.isascii():
        return len(text)
    return sum(_character_width(character) for character in text)


def _character_width(character: str) -> int:
    if unicodedata.combining(character):
        return 0
    return 2 if unicodedata.east_asian_width(character) in "WF" else 1


def cut(text: str, limit: int) -> str:
    """Return text that takes at most so many terminal columns."""
    if width(text) <= limit:
        return text
    kept, used = [], 0
    for character in text:
        used += _character_width(character)
        if used > limit - 1:
            break
        kept.append(character)
    return "".join(kept) + "…"


def _clean(cell: str | Styled) -> Styled:
    text, style = (cell, "") if isinstance(cell, str) else (cell.text, cell.style)
    if not (text.isascii() and text.isprintable()):
        text = printable(text)
    return Styled(text, style)


def fitted(columns: Sequence[Column], widths: Sequence[int], limit: int | None) -> list[int]:
    """Return widths that fit a limit, taking from the widest columns that may shrink."""
    result = list(widths)
    if limit is None:
        return result
    excess = sum(result) + 2 * (len(result) - 1) - limit
    while excess > 0:
        able = [i for i, c in enumerate(columns) if c.shrinks and result[i] > _NARROWEST]
        if not able:
            break
        result[max(able, key=lambda i: result[i])] -= 1
        excess -= 1
    return result


def _terminal_width() -> int | None:
    return shutil.get_terminal_size((80, 24)).columns if sys.stdout.isatty() else None


def table(columns: Sequence[Column], rows: Sequence[Sequence[str | Styled]]) -> None:
    """Print rows under their titles; lines are never wrapped by us."""
    cells = [[_clean(cell) for cell in row] for row in rows]
    titles = [Styled(column.title, "bold") for column in columns]
    lines = [titles, *cells]
    natural = [max(width(line[i].text) for line in lines) for i in range(len(columns))]
    widths = fitted(columns, natural, _terminal_width())
    for i, column in enumerate(columns):
        if widths[i] < min(column.least, natural[i]):
            rest = [[*row[:i], *row[i + 1 :]] for row in rows]
            table([*columns[:i], *columns[i + 1 :]], rest)
            return
    _print(lines, widths)


def _print(lines: Sequence[Sequence[Styled]], widths: Sequence[int]) -> None:
    last = len(widths) - 1
    for line in lines:
        parts: list[str | Styled] = []
        for i, cell in enumerate(line):
            text = cut(cell.text, widths[i])
            parts.append(Styled(text, cell.style) if cell.style else text)
            if i < last:
                parts.append(" " * (widths[i] - width(text) + 2))
        ui.out(*parts)


def pairs(rows: Sequence[tuple[str, str | Styled]]) -> None:
    """Print names and values of one thing, a line each."""
    broad = max(len(name) for name, _ in rows) + 2
    limit = (_terminal_width() or 100_000) - broad - 1
    for name, value in rows:
        cell = _clean(value)
        long = width(cell.text) > limit > _NARROWEST
        lines = textwrap.wrap(cell.text, limit, break_long_words=False) if long else []
        text = ("\n" + " " * (broad + 1)).join(lines) or cell.text
        ui.out(Styled(f"{name}:", "bold"), " " * (broad - len(name)), Styled(text, cell.style))


def answer(output_format: str, value: Any, human: Callable[[], None]) -> None:
    """Print one object in the format that was asked for; `human` shows it to people."""
    if output_format == "table":
        pager.show(human)
        return
    record = formats.flattened(value) if output_format == "csv" else value
    formats.emit(output_format, value, [record], list(record))


def nothing(output_format: str, text: str) -> None:
    """Say that there is nothing to show: in the table's place, or beside what programs read."""
    (ui.out if output_format == "table" else ui.note)(text)


def end_with_nothing() -> NoReturn:
    """End the command with the exit code that says: what you asked for matched nothing."""
    raise click.exceptions.Exit(exits.NOT_FOUND)


def _refuse_constant(text: str) -> None:
    raise ValueError(text)


def loaded(data: bytes) -> Any:
    """Return a JSON value that came from a device; what is none stays visible as text.

    Trust: a device wrote it; the server should have refused what is not JSON.
    """
    if not data:
        return None
    try:
        return json.loads(data, parse_constant=_refuse_constant)
    except (ValueError, RecursionError):
        return data.decode("utf-8", "backslashreplace")


def compact(data: bytes) -> str:
    """Return a device's JSON value on one line for people."""
    return json.dumps(loaded(data), ensure_ascii=False)


def words(values: Sequence[str]) -> str:
    """Return values as a cell; a dash for none."""
    return ", ".join(values) or "-"
