"""Print for people or for programs; nothing from elsewhere reaches the terminal raw."""

from __future__ import annotations

import json
import shutil
import sys
import textwrap
from datetime import datetime
from typing import TYPE_CHECKING, Any

from penguindome.display import printable, printable_block

if TYPE_CHECKING:
    from collections.abc import Sequence


def as_json(value: Any) -> None:
    """Print a value as JSON; ASCII, so that it is safe on any terminal."""
    sys.stdout.write(json.dumps(value, indent=1, sort_keys=True) + "\n")


def line(text: str = "") -> None:
    """Print one line."""
    sys.stdout.write(printable(text) + "\n")


def block(text: str) -> None:
    """Print several lines."""
    sys.stdout.write(printable_block(text) + "\n")


def wrapped(text: str) -> None:
    """Print a paragraph below its heading, as wide as the terminal but no wider than is read."""
    columns = min(shutil.get_terminal_size((80, 24)).columns, 100)
    for part in textwrap.wrap(printable(text.replace("\n", " ")), max(columns - 2, 20)):
        sys.stdout.write(f"  {part}\n")


def ago(iso_time: str, now: datetime) -> str:
    """Say how long before `now` a time was, in its largest unit; "" for what is no time."""
    try:
        seconds = round((now - datetime.fromisoformat(iso_time)).total_seconds())
    except ValueError:
        return ""
    for size, unit in ((86_400, "d"), (3_600, "h"), (60, "min")):
        if seconds >= size:
            return f"{seconds // size} {unit} ago"
    return f"{max(seconds, 0)} s ago"


def pairs(rows: Sequence[tuple[str, Any]]) -> None:
    """Print names and values, aligned."""
    width = max((len(name) for name, _value in rows), default=0) + 1
    for name, value in rows:
        line(f"{name + ':' if name else '':{width}} {value}")
