"""Dotted paths into what the server knows of a device, as checks write them."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from penguindome.errors import InvalidInput

if TYPE_CHECKING:
    from collections.abc import Collection

MAX_SEGMENTS = 34
MAX_PATH_LENGTH = 1024

#: What a check may look at: outputs' values by plugin, how each output came about, the last
#: report's times, and the device's record.
ROOTS = ("plugins", "outputs", "report", "device")
REPORT_FIELDS = frozenset({"received_time", "collected_time", "boot_id"})
OUTPUT_FIELDS = frozenset(
    {"name", "status", "reason", "local", "collected_time", "cached_time"},
)
DEVICE_FIELDS = frozenset(
    {
        "hostname",
        "labels",
        "agent_version",
        "os_name",
        "enrolled_time",
        "last_seen_time",
        "certificate_expires_time",
        "clock_skew_ms",
    },
)
_FIELDS = {"report": REPORT_FIELDS, "device": DEVICE_FIELDS, "outputs": OUTPUT_FIELDS}
_BAD = re.compile(r"[\x00-\x1f\x7f]")


def check_path(path: object, *, relative: bool) -> str:
    """Return a path that may stand in a query.

    Args:
        path: What the query has in the place of a path.
        relative: Whether it stands inside `$elemMatch`, where paths start at the element.

    Raises:
        InvalidInput: If it is no path, or leads to where checks do not look.
    """
    if not isinstance(path, str) or not path:
        raise InvalidInput("a path must be text, for example plugins.sshd.status")
    segments = path.split(".")
    if len(path) > MAX_PATH_LENGTH or len(segments) > MAX_SEGMENTS:
        raise InvalidInput("a path is too long", subject=path[:80])
    if not all(segments) or any(segment.startswith("$") for segment in segments):
        raise InvalidInput("a path has an empty part or one that starts with $", subject=path[:80])
    if _BAD.search(path) or not _encodable(path):
        raise InvalidInput("a path holds a control character", subject=ascii(path[:80]))
    if not relative:
        _check_root(path, segments)
    return path


def is_within(path: str, sealed: Collection[str]) -> bool:
    """Tell whether a path is, leads into or contains one of the sealed ones."""
    return any(
        path == one or path.startswith(f"{one}.") or one.startswith(f"{path}.") for one in sealed
    )


def plugin_of(path: str) -> str:
    """Return the plugin whose value a path leads to; empty for other paths."""
    root, _, rest = path.partition(".")
    return rest.partition(".")[0] if root == "plugins" else ""


def _check_root(path: str, segments: list[str]) -> None:
    root, rest = segments[0], [one for one in segments[1:] if not one.isdigit()]
    if root not in ROOTS:
        raise InvalidInput(
            f"a path starts with {segments[0][:40]!a}",
            subject=path[:80],
            remedy=f"start with one of {', '.join(ROOTS)}",
        )
    if root == "plugins" and len(segments) == 1:
        raise InvalidInput("the path names no plugin", remedy="write plugins.NAME")
    if root in ("report", "device") and not rest:
        raise InvalidInput(f"the path stops at {root}", remedy=f"write {root}.FIELD")
    if rest and root in _FIELDS and rest[0] not in _FIELDS[root]:
        raise InvalidInput(
            f"{root} has no field {rest[0][:40]!a}",
            subject=path[:80],
            remedy=f"it has {', '.join(sorted(_FIELDS[root]))}",
        )


def _encodable(text: str) -> bool:
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True
