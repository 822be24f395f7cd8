"""Escape keys of devices' JSON so that MongoDB stores them as they are, and back.

MongoDB gives `$` and `.` in keys a meaning of its own (operators, DBRefs, paths), so `$`, `.` and
the escape sign `%` travel as `%24`, `%2E` and `%25`. Trust: any root user of any device wrote the
keys; the strict JSON gate has bounded depth and number before.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from penguindome.errors import InvalidInput

_SPECIAL = re.compile(r"[%$.\0]")
_ESCAPED = re.compile(r"%(24|2E|25)")
_ESCAPES = {"%": "%25", "$": "%24", ".": "%2E"}
_SIGNS = {"25": "%", "24": "$", "2E": "."}


def escape_key(key: str) -> str:
    """Return the key as it is stored.

    Raises:
        InvalidInput: the key is empty or has a NUL, which BSON cannot hold.
    """
    if not key:
        raise InvalidInput("a key is empty", code="bad-key", remedy="name every field")
    if _SPECIAL.search(key) is None:
        return key
    if "\0" in key:
        raise InvalidInput("a key has a NUL in it", code="bad-key", remedy="leave the NUL out")
    return _SPECIAL.sub(lambda match: _ESCAPES[match[0]], key)


def unescape_key(key: str) -> str:
    """Return a stored key as the device wrote it."""
    if "%" not in key:
        return key
    return _ESCAPED.sub(lambda match: _SIGNS[match[1]], key)


def escape_value(value: Any) -> Any:
    """Return a JSON value with all its keys escaped.

    Raises:
        InvalidInput: a key is empty or has a NUL.
    """
    if isinstance(value, dict):
        return {escape_key(key): escape_value(item) for key, item in value.items()}
    if isinstance(value, list):
        return [escape_value(item) for item in value]
    return value


def unescape_value(value: Any) -> Any:
    """Return a stored value as the device wrote it, in plain dictionaries and lists."""
    if isinstance(value, Mapping):
        return {unescape_key(key): unescape_value(item) for key, item in value.items()}
    if isinstance(value, list):
        return [unescape_value(item) for item in value]
    return value
