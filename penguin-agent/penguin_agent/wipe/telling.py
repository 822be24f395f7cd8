"""Put what a wipe would do, or did, into a form that fits into a receipt."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from penguindome.strict_json import canonical_json

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from penguin_agent.wipe.walk import Tally

# Of longer lists the beginning is told, and how long they are.
LISTED = 100
_REASONS = 5
_TEXT = 300
_DETAILS_BYTES = 40 * 1024


def clean(text: str) -> str:
    """Return a name of the file system as a receipt can carry it."""
    return text.encode(errors="replace").decode().replace("\0", "")[:_TEXT]


def listed(name: str, entries: Iterable[Any], limit: int) -> dict[str, Any]:
    """Return a list's beginning under a name, and the whole number where it is longer."""
    found = list(entries)
    short: dict[str, Any] = {name: found[:limit]}
    return short | ({f"{name}_in_all": len(found)} if len(found) > limit else {})


def fitting(make: Callable[[int], dict[str, Any]]) -> dict[str, Any]:
    """Return details that fit into a receipt: with as many entries in each list as go in."""
    limit = LISTED
    found = make(limit)
    while limit > 1 and len(canonical_json(found)) > _DETAILS_BYTES:
        limit //= 2
        found = make(limit)
    return found


def tally_json(tally: Tally) -> dict[str, Any]:
    """Return what was counted or removed."""
    found: dict[str, Any] = {
        "files": tally.files,
        "folders": tally.folders,
        "bytes": tally.size_bytes,
    }
    if tally.uncounted:
        found["uncounted_folders"] = tally.uncounted
    if tally.left:
        reasons = [clean(f"{path}: {why}") for path, why in tally.reasons[:_REASONS]]
        found |= {"left": tally.left, "left_reasons": reasons}
    return found
