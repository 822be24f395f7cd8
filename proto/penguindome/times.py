"""Read the clock in one place, and convert times and spans."""

from __future__ import annotations

import re
from collections.abc import Callable
from datetime import UTC, datetime, timedelta

from penguindome.errors import InvalidInput

Clock = Callable[[], datetime]

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_UNITS = {"w": 604_800, "d": 86_400, "h": 3_600, "m": 60, "s": 1}
_PART = re.compile(r"([0-9]{1,9})([wdhms])")
_ISO = re.compile(r"\d{4}-\d\d-\d\d[T ]\d\d:\d\d:\d\d(?:\.\d{1,6})?(?:Z|[+-]\d\d:?\d\d)?")


def utc_now() -> datetime:
    """Read the wall clock; everything else is handed the time or a `Clock`."""
    return datetime.now(UTC)


def to_unix_ms(moment: datetime) -> int:
    """Return milliseconds since the Unix epoch, rounded down."""
    return (moment - _EPOCH) // timedelta(milliseconds=1)


def from_unix_ms(number: int) -> datetime:
    """Return the UTC time of milliseconds since the Unix epoch.

    Raises:
        InvalidInput: The number lies outside the years 1 to 9999.
    """
    try:
        return _EPOCH + timedelta(milliseconds=number)
    except OverflowError:
        raise InvalidInput("a time lies outside the years 1 to 9999", code="bad-time") from None


def parse_duration(text: str) -> timedelta:
    """Return the span that `90m`, `4h`, `3d`, `2w` or `1h30m` means.

    Raises:
        InvalidInput: The text is something else, or zero.
    """
    parts = _PART.findall(text)
    if not parts or "".join(number + unit for number, unit in parts) != text:
        raise _bad_duration(text)
    seconds = sum(int(number) * _UNITS[unit] for number, unit in parts)
    if not 0 < seconds <= timedelta(days=36_525).total_seconds():
        raise _bad_duration(text)
    return timedelta(seconds=seconds)


def format_duration(span: timedelta) -> str:
    """Return a span as people write it: the two largest units, e.g. `3d4h`."""
    seconds = int(abs(span.total_seconds()))
    parts: list[str] = []
    for unit in ("d", "h", "m", "s"):
        number, seconds = divmod(seconds, _UNITS[unit])
        if number:
            parts.append(f"{number}{unit}")
        elif parts:
            break
    sign = "-" if span < timedelta() and parts else ""
    return sign + ("".join(parts[:2]) or "0s")


def to_iso(moment: datetime) -> str:
    """Return a time as ISO 8601 in UTC, whole seconds, e.g. `2030-01-02T03:04:05Z`."""
    return moment.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ").rjust(20, "0")


def from_iso(text: str) -> datetime:
    """Return the UTC time that an ISO 8601 text with an offset names.

    Raises:
        InvalidInput: The text is no full date and time, or has no offset.
    """
    try:
        moment = datetime.fromisoformat(text) if _ISO.fullmatch(text) else None
        if moment is not None and moment.tzinfo is not None:
            return moment.astimezone(UTC)
    except (ValueError, OverflowError):
        pass
    raise InvalidInput(f"{text[:40]!r} is no time such as 2030-01-02T03:04:05Z", code="bad-time")


def _bad_duration(text: str) -> InvalidInput:
    return InvalidInput(
        f"{text[:40]!r} is no duration",
        code="bad-duration",
        remedy="Write a number and a unit, for example 90m, 4h, 3d or 2w",
    )
