"""Plots in SVG: shapes only, which stretch with the page; words around them are HTML.

Each has a title that says in words what it shows.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from penguinctl.page.text import text

if TYPE_CHECKING:
    from collections.abc import Sequence

# Coordinates of the shapes; the page decides how large they are.
_WIDTH, _HEIGHT = 1000, 100


def stacked_bar(parts: Sequence[tuple[str, int]], title: str) -> str:
    """Return one bar of parts by class; it is empty where all are nothing.

    Args:
        parts: Classes and how much each has, left to right.
        title: What it shows, in words.
    """
    whole = sum(number for _, number in parts)
    shapes, left = [], 0.0
    for name, number in parts:
        if not number:
            continue
        broad = _WIDTH * number / whole
        shapes.append(
            f'<rect class="{name}" x="{left:.1f}" y="0" width="{broad:.1f}" height="10"/>'
        )
        left += broad
    return _svg("bar", 10, title, shapes)


def single_bar(number: int, most: int, title: str) -> str:
    """Return a bar that is as long as a number is of the largest one."""
    broad = _WIDTH * number / most if most else 0
    shape = f'<rect class="plain" x="0" y="0" width="{broad:.1f}" height="10"/>'
    return _svg("bar", 10, title, [shape])


def areas(
    times: Sequence[int], layers: Sequence[tuple[str, Sequence[int]]], most: int, title: str
) -> str:
    """Return layers on top of each other over time, the first at the bottom.

    Args:
        times: When, ascending.
        layers: Classes and their values at these times.
        most: What the upper edge stands for.
        title: What it shows, in words.
    """
    floor = [0] * len(times)
    shapes = []
    for name, values in layers:
        top = [below + value for below, value in zip(floor, values, strict=True)]
        if any(values):
            upper, lower = _points(times, top, most), _points(times, floor, most)
            outline = " ".join([*upper, *reversed(lower)])
            shapes.append(f'<polygon class="{name}" points="{outline}"/>')
        floor = top
    return _svg("plot", _HEIGHT, title, shapes)


def lines(
    times: Sequence[int], series: Sequence[tuple[str, Sequence[int]]], most: int, title: str
) -> str:
    """Return lines over time; the arguments are those of `areas`."""
    shapes = [
        f'<polyline class="{name}" points="{" ".join(_points(times, values, most))}"/>'
        for name, values in series
    ]
    return _svg("plot", _HEIGHT, title, shapes)


def _points(times: Sequence[int], values: Sequence[int], most: int) -> list[str]:
    span = (times[-1] - times[0]) or 1
    return [
        f"{_WIDTH * (time - times[0]) / span:.1f},{_HEIGHT - _HEIGHT * value / (most or 1):.2f}"
        for time, value in zip(times, values, strict=True)
    ]


def _svg(kind: str, height: int, title: str, shapes: Sequence[str]) -> str:
    return (
        f'<svg class="{kind}" viewBox="0 0 {_WIDTH} {height}" preserveAspectRatio="none" '
        f'role="img"><title>{text(title)}</title>{"".join(shapes)}</svg>'
    )
