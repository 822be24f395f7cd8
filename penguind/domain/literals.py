"""Plain values in checks: numbers, texts and times that the database can hold."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from typing import Any

from penguindome.errors import InvalidInput
from penguindome.times import from_iso, parse_duration

MAX_TEXT_LENGTH = 1024
MAX_AGO = timedelta(days=3650)
INT64 = 2**63


def scalar(value: object) -> Any:
    """Return a plain value as the database takes it; times become UTC.

    Raises:
        InvalidInput: If it is of another kind, or the database could not hold it.
    """
    if value is None or isinstance(value, bool):
        return value
    if isinstance(value, int):
        return _integer(value)
    if isinstance(value, float):
        return _number(value)
    if isinstance(value, str):
        return _text(value)
    if isinstance(value, date):
        return _moment(value)
    raise InvalidInput(f"a value is of a kind that checks cannot use: {type(value).__name__}")


def _integer(value: int) -> int:
    if not -INT64 <= value < INT64:
        raise InvalidInput("a number does not fit into 64 bits")
    return value


def _number(value: float) -> float:
    if value != value or value in (float("inf"), float("-inf")):  # noqa: PLR0124 -- NaN
        raise InvalidInput("a number is not finite")
    return value


def _text(value: str) -> str:
    if len(value) > MAX_TEXT_LENGTH:
        raise InvalidInput(f"a text has more than {MAX_TEXT_LENGTH} characters")
    try:
        value.encode()
    except UnicodeEncodeError as error:
        raise InvalidInput("a text holds half a character") from error
    return value


def date_literal(value: object) -> datetime:
    """Return the time that `$date` stands for.

    Raises:
        InvalidInput: If it is no time with an offset from UTC.
    """
    if not isinstance(value, str):
        raise InvalidInput("$date takes a time such as 2026-01-31T08:00:00Z")
    return from_iso(value)


def _moment(value: date) -> datetime:
    if not isinstance(value, datetime):
        return datetime(value.year, value.month, value.day, tzinfo=UTC)
    if value.tzinfo is None:
        return value.replace(tzinfo=UTC)
    try:
        return value.astimezone(UTC)
    except OverflowError as error:
        raise InvalidInput("a time is out of range") from error


def ago(value: object) -> timedelta:
    """Return the span that `$ago` reaches back.

    Raises:
        InvalidInput: If it is no duration, or longer than ten years.
    """
    if isinstance(value, timedelta):
        return value
    if not isinstance(value, str):
        raise InvalidInput("$ago takes a duration such as 90m, 8h or 3d")
    duration = parse_duration(value)
    if duration > MAX_AGO:
        raise InvalidInput(f"$ago reaches back {MAX_AGO.days} days at most")
    return duration
