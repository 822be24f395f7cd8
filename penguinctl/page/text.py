"""Text in HTML: whatever a device or the server says stays text."""

from __future__ import annotations

from html import escape

from penguindome.display import printable


def text(value: object) -> str:
    """Return text for HTML; control and direction characters are shown, not obeyed."""
    return escape(printable(str(value)))


def named(value: object) -> str:
    """Return a name that a device chose, so that its direction of writing stays its own."""
    return f"<bdi>{text(value)}</bdi>"


def count(number: int) -> str:
    """Return a number with thin spaces between thousands."""
    return f"{number:,}".replace(",", "\u202f")


def percent(part: int, whole: int) -> str:
    """Return a share without decimals; a part is never rounded to all or nothing."""
    if not whole:
        return "–"
    share = round(100 * part / whole)
    if share == 100 and part < whole:
        return "99 %"
    return "1 %" if share == 0 and part else f"{share} %"
