"""Times as people and as programs read them."""

from __future__ import annotations

from datetime import UTC, datetime

from penguindome.errors import InvalidInput
from penguindome.times import from_unix_ms, parse_duration, to_unix_ms

__all__ = ["ago", "iso", "local", "moment", "relative", "short", "since", "to_unix_ms"]

_UNITS = ((86_400, "d"), (3_600, "h"), (60, "min"), (1, "s"))
UNREADABLE = "unreadable time"


def moment(unix_ms: int) -> datetime | None:
    """Return the time of a wire value; None for 0 and for what no calendar holds."""
    if unix_ms == 0:
        return None
    try:
        return from_unix_ms(unix_ms)
    except InvalidInput:
        return None


def iso(value: int) -> str | None:
    """Return a wire value as ISO 8601 in UTC for programs; None where there is none."""
    time = moment(value)
    if time is None:
        return None
    return time.isoformat(timespec="milliseconds").replace("+00:00", "Z")


def relative(time: datetime, now: datetime) -> str:
    """Say how long ago or ahead a time is, in its largest unit: "3 h ago", "in 2 d"."""
    seconds = round((now - time).total_seconds())
    for size, unit in _UNITS:
        if abs(seconds) >= size:
            amount = f"{abs(seconds) // size} {unit}"
            return f"{amount} ago" if seconds > 0 else f"in {amount}"
    return "now"


def local(value: int, now: datetime, *, never: str = "-") -> str:
    """Say a wire value in local time and relative to now; `never` for 0."""
    time = moment(value)
    if time is None:
        return never if value == 0 else UNREADABLE
    try:
        text = time.astimezone().strftime("%Y-%m-%d %H:%M:%S%z")
    except (OverflowError, ValueError):
        return UNREADABLE
    return f"{text[:-2]}:{text[-2:]} ({relative(time, now)})"


def short(value: int, now: datetime, *, never: str = "never") -> str:
    """Say a wire value for a table's cell: local time to the minute."""
    text = local(value, now, never=never)
    return text[:16] if " (" in text else text


def ago(value: int, now: datetime, *, never: str = "never") -> str:
    """Say a wire value for a table's cell that is read today: only how long ago it was."""
    time = moment(value)
    if time is None:
        return never if value == 0 else UNREADABLE
    return relative(time, now)


def since(text: str, now: datetime) -> datetime:
    """Read what --since takes: a span before now (90m, 3d) or an ISO date or time.

    Raises:
        InvalidInput: It is neither.
    """
    try:
        time = datetime.fromisoformat(text)
    except ValueError:
        time = None
    try:
        return time.astimezone(UTC) if time else now - parse_duration(text)
    except (InvalidInput, OverflowError, ValueError) as error:
        raise InvalidInput(
            "this is neither a span of time nor an ISO date",
            subject=text,
            remedy="Give e.g. 90m, 3d, 2026-11-25 or 2026-11-25T14:00",
        ) from error
