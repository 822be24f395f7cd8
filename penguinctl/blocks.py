"""Bars and sparklines made of characters, for people at a terminal."""

from __future__ import annotations

import itertools
import os
import sys
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

_RISING = "▁▂▃▄▅▆▇█"
_RISING_ASCII = "_.-~=*#@"


def drawn() -> bool:
    """Tell whether block characters can be shown; else ASCII stands for them."""
    if os.environ.get("TERM") == "dumb":
        return False
    return (sys.stdout.encoding or "").lower().replace("-", "") == "utf8"


def shares(parts: Sequence[int], length: int) -> list[int]:
    """Return how many of `length` characters each part gets; what is there gets one at least."""
    whole = sum(parts)
    if not whole:
        return [0] * len(parts)
    given = [max(1, round(length * part / whole)) if part else 0 for part in parts]
    while sum(given) != length:
        step = 1 if sum(given) < length else -1
        able = [i for i, number in enumerate(given) if number > 1 or (step > 0 and parts[i])]
        if not able:
            break
        given[max(able, key=lambda i: given[i])] += step
    return given


def sparkline(values: Sequence[int], width: int) -> str:
    """Return values as a line of rising characters, at most `width`; the newest is last."""
    if not values:
        return ""
    groups = min(width, len(values))
    edges = [len(values) * number // groups for number in range(groups + 1)]
    means = [sum(values[a:b]) / (b - a) for a, b in itertools.pairwise(edges)]
    steps = _RISING if drawn() else _RISING_ASCII
    most = max(means)
    top = len(steps) - 1
    return "".join(steps[round(top * mean / most)] if most else steps[0] for mean in means)
