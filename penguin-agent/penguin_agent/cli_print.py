"""Print for people or for programs; nothing from elsewhere reaches the terminal raw."""

from __future__ import annotations

import json
import sys
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


def pairs(rows: Sequence[tuple[str, Any]]) -> None:
    """Print names and values, aligned."""
    width = max((len(name) for name, _value in rows), default=0) + 1
    for name, value in rows:
        line(f"{name + ':':{width}} {value}")
