"""Write and read JSON in plugins: times under keys that end in `_at` survive the trip.

Times are written as ISO 8601, wherever they stand; strings under `_at` keys that are such times
are read back as times, whichever position the key has. Everything else is the standard library's.
"""

from __future__ import annotations

import json
from datetime import date, datetime
from json import JSONDecodeError
from typing import IO, Any

__all__ = ["JSONDecodeError", "dump", "dumps", "load", "loads"]


def dumps(value: Any, **options: Any) -> str:
    """Return a value as JSON text."""
    return json.dumps(value, default=_encode, **options)


def dump(value: Any, file: IO[str], **options: Any) -> None:
    """Write a value as JSON text."""
    json.dump(value, file, default=_encode, **options)


def loads(text: str | bytes, **options: Any) -> Any:
    """Return the value of JSON text."""
    return json.loads(text, object_hook=_decode, **options)


def load(file: IO[str], **options: Any) -> Any:
    """Read a value of JSON text."""
    return json.load(file, object_hook=_decode, **options)


def _encode(value: Any) -> Any:
    if isinstance(value, date):
        return value.isoformat()
    if isinstance(value, set | frozenset):
        return sorted(value)
    raise TypeError(f"{type(value).__name__} is not JSON")


def _decode(value: dict[str, Any]) -> dict[str, Any]:
    return {key: _time(item) if key.endswith("_at") else item for key, item in value.items()}


def _time(value: Any) -> Any:
    """Return the time that a text names, or the value itself."""
    # A bare date, or digits alone, is more likely something else than a time.
    if not isinstance(value, str) or "T" not in value:
        return value
    try:
        return datetime.fromisoformat(value)
    except ValueError:
        return value
