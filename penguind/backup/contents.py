"""What a backup says about itself, and which names it may bring.

Trust: anybody may have written the file, so that every name in it is checked before it is used.
"""

from __future__ import annotations

import re
from dataclasses import asdict, dataclass, fields
from pathlib import PurePosixPath
from typing import TYPE_CHECKING, Any

from penguind.backup.frames import damaged

if TYPE_CHECKING:
    from penguind.backup.frames import Frame

#: Where files come from: the state folder, the settings file, the site's checks.
ROOTS = ("state", "settings", "checks")
#: Where the embedded database keeps its files, which no backup holds.
DATABASE_FOLDER = "mongo"
_PATH_LIMIT = 1024
_COLLECTION = re.compile(r"[A-Za-z][A-Za-z0-9_.-]{0,99}")
_CHECK = re.compile(r"[^/]+\.ya?ml")
_MODES = 0o777


@dataclass(frozen=True, slots=True)
class Header:
    """What stands in front.

    Attributes:
        backup_id: random, 32 hexadecimal digits.
        created_time: when the data were read, ISO 8601.
        ledger_number: the ledger's newest row at that time.
        ledger_hash: its hash, hexadecimal.
        outside: files that the settings name and that are not held.
    """

    backup_id: str
    fleet_id: str
    created_time: str
    version: str
    host: str
    database: str
    state_dir: str
    settings: str
    checks_directory: str
    ledger_number: int
    ledger_hash: str
    outside: list[str]

    def document(self) -> dict[str, Any]:
        """Return the JSON form."""
        return asdict(self)


@dataclass(frozen=True, slots=True)
class FileEntry:
    """A file: where it belongs, below which root, and its mode."""

    root: str
    path: str
    mode: int

    def document(self) -> dict[str, Any]:
        """Return the JSON form."""
        return asdict(self)


@dataclass(slots=True)
class Totals:
    """What a backup holds; the end frame repeats it."""

    files: int
    file_bytes: int
    collections: dict[str, int]

    def document(self) -> dict[str, Any]:
        """Return the JSON form."""
        return asdict(self)


def header_of(frame: Frame) -> Header:
    """Return the header.

    Raises:
        Damaged: the frame is none.
    """
    value = frame.value()
    kinds = {"ledger_number": int, "outside": list}
    names = [one.name for one in fields(Header)]
    right = frame.kind == "H" and all(
        isinstance(value.get(name), kinds.get(name, str)) for name in names
    )
    if not right or not re.fullmatch(r"[0-9a-f]{32}", value["backup_id"]):
        raise damaged("the header is not one of penguind's", frame.offset)
    return Header(**{name: value[name] for name in names})


def file_of(frame: Frame) -> FileEntry:
    """Return a file's entry.

    Raises:
        Damaged: it leads out of its root, or is no entry.
    """
    value = frame.value()
    root, path, mode = value.get("root"), value.get("path"), value.get("mode")
    if root not in ROOTS or not isinstance(path, str) or not isinstance(mode, int):
        raise damaged("a file has no name", frame.offset)
    if not _harmless(path):
        raise damaged(f"the file name {path[:100]!r} leads elsewhere", frame.offset)
    # Root puts the checks where the settings say: nothing else may come along.
    if root == "checks" and not _CHECK.fullmatch(path):
        raise damaged(f"the file name {path[:100]!r} is no check's", frame.offset)
    return FileEntry(str(root), path, mode & _MODES)


def collection_of(frame: Frame) -> str:
    """Return a collection's name.

    Raises:
        Damaged: it is not one that penguind gives.
    """
    name = frame.value().get("name")
    if not isinstance(name, str) or not _COLLECTION.fullmatch(name) or name.startswith("system."):
        raise damaged(f"the collection name {str(name)[:100]!r} is none", frame.offset)
    return name


def _harmless(path: str) -> bool:
    """Tell whether a path stays below where it is put: relative, plain, without dots."""
    parts = path.split("/")
    # A name with a dot is temporary, or a restore's own.
    plain = all(part and not part.startswith(".") for part in parts)
    return (
        plain
        and parts[0] != DATABASE_FOLDER
        and path.isprintable()
        and len(path.encode()) <= _PATH_LIMIT
        and not PurePosixPath(path).is_absolute()
    )
