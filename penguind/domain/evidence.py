"""Evidence: the values that a check looked at, small enough to keep with the issue."""

from __future__ import annotations

import json
from datetime import datetime
from typing import TYPE_CHECKING, Any

from penguindome.times import to_iso

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

#: JSON values by dotted path.
Evidence = dict[str, Any]

MAX_PATHS = 32
MAX_VALUE_BYTES = 2048
MAX_BYTES = 8192
_MISSING = object()
_QUIET = frozenset({"ok", "cached", "not-applicable"})


def gather(document: Mapping[str, Any], paths: Iterable[str]) -> Evidence:
    """Return the values at the paths; those that are missing are left out.

    A value that is too large is replaced by the beginning of its text and `…`; what no longer fits
    into the whole is left out.
    """
    evidence: Evidence = {}
    left = MAX_BYTES
    for path in list(paths)[:MAX_PATHS]:
        value = _value_at(document, path.split("."))
        if value is _MISSING:
            continue
        if path == "outputs":
            value = _troubled(value)
        kept, size = _bounded(value)
        if size + len(path) > left:
            break
        left -= size + len(path)
        evidence[path] = kept
    return evidence


def _troubled(outputs: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Return only the outputs that say why a check may look at outputs at all, failures first."""
    troubled = [
        {key: one.get(key, "") for key in ("name", "status", "reason")}
        for one in outputs
        if one.get("status") not in _QUIET
    ]
    return sorted(troubled, key=lambda one: one["status"] == "unknown")


def _value_at(value: Any, segments: list[str]) -> Any:
    """Follow a path as the database does: through lists, a name collects from each element."""
    if not segments:
        return value
    head, rest = segments[0], segments[1:]
    if isinstance(value, dict):
        return _value_at(value[head], rest) if head in value else _MISSING
    if not isinstance(value, list):
        return _MISSING
    if head.isdecimal() and head.isascii():
        return _value_at(value[int(head)], rest) if int(head) < len(value) else _MISSING
    found = [_value_at(one, segments) for one in value if isinstance(one, dict)]
    found = [one for one in found if one is not _MISSING]
    return found or _MISSING


def _bounded(value: Any) -> tuple[Any, int]:
    text = json.dumps(value, ensure_ascii=False, default=_plain)
    size = len(text.encode())
    if size <= MAX_VALUE_BYTES:
        return json.loads(text), size
    kept = text.encode()[: MAX_VALUE_BYTES - 8].decode(errors="ignore") + "…"
    return kept, MAX_VALUE_BYTES


def _plain(value: object) -> str:
    if isinstance(value, datetime):
        return to_iso(value)
    if isinstance(value, bytes):
        return value.hex()
    return str(value)
