"""The files of a release or a patch: where, which mode, how long, which content.

Trust: a manifest was signed, yet its paths decide where root writes: each is checked here, and
whoever writes them opens beneath a folder without following links.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import TYPE_CHECKING

from penguindome.errors import InvalidInput

if TYPE_CHECKING:
    from collections.abc import Sequence

    from penguindome.strict_json import Json

MODES = (0o644, 0o755)
FILE_LIMIT_BYTES = 16 * 1024 * 1024
TREE_LIMIT_BYTES = 256 * 1024 * 1024
FILES_LIMIT = 2_000
PATH_LIMIT_BYTES = 200
_PART = r"[A-Za-z0-9_][A-Za-z0-9._-]{0,63}"
# \Z, since $ would let a newline follow.
_PATH = re.compile(rf"(?:{_PART}/){{0,7}}{_PART}\Z")
_DIGEST = re.compile(r"[0-9a-f]{64}\Z")
# What the agent itself keeps in a tree; a folder of that name would be in its way, too.
_RESERVED = frozenset({"tree.json"})
_FIELDS = {"path", "mode", "size", "sha256"}


@dataclass(frozen=True, slots=True)
class FileEntry:
    """One file: its path beneath the tree, its mode, its size in bytes, its SHA-256."""

    path: str
    mode: int
    size: int
    sha256: str

    def to_json(self) -> dict[str, Json]:
        """Return the entry as payloads have it; the mode in octal."""
        return {
            "path": self.path,
            "mode": f"{self.mode:04o}",
            "size": self.size,
            "sha256": self.sha256,
        }


def entry_from_json(value: Json) -> FileEntry:
    """Read one entry strictly.

    Raises:
        InvalidInput: It is malformed; names the path where there is one.
    """
    if not isinstance(value, dict) or set(value) != _FIELDS:
        raise _bad("a file has other fields than path, mode, size and sha256")
    path, mode, size, digest = (value[name] for name in ("path", "mode", "size", "sha256"))
    check_path(path)
    if not isinstance(mode, str) or mode not in {f"{one:04o}" for one in MODES}:
        raise _bad("its mode is neither 0644 nor 0755", path)
    if not isinstance(size, int) or isinstance(size, bool) or not 0 <= size <= FILE_LIMIT_BYTES:
        raise _bad(f"its size is none, or more than {FILE_LIMIT_BYTES} bytes", path)
    if not isinstance(digest, str) or not _DIGEST.match(digest):
        raise _bad("its sha256 is none", path)
    return FileEntry(path, int(mode, 8), size, digest)


def check_path(path: Json) -> str:
    """Return a path beneath a tree.

    Raises:
        InvalidInput: It is none.
    """
    if not isinstance(path, str) or not path.isascii() or not _PATH.match(path):
        raise _bad("its path is no plain relative one", str(path)[:PATH_LIMIT_BYTES])
    if len(path) > PATH_LIMIT_BYTES or path.partition("/")[0].lower() in _RESERVED:
        raise _bad(f"its path is reserved, or longer than {PATH_LIMIT_BYTES} bytes", path)
    return path


def check_manifest(files: Sequence[FileEntry]) -> None:
    """Refuse a set of files that cannot be a tree.

    Raises:
        InvalidInput: Too many or too large, two of one name whatever their case, or a file where
            another needs a folder.
    """
    if len(files) > FILES_LIMIT:
        raise _bad(f"there are more than {FILES_LIMIT} files")
    if sum(one.size for one in files) > TREE_LIMIT_BYTES:
        raise _bad(f"the files have more than {TREE_LIMIT_BYTES} bytes together")
    seen: dict[str, str] = {}
    for one in files:
        if (other := seen.setdefault(one.path.lower(), one.path)) != one.path:
            raise _bad(f"its path differs from {other} in case only", one.path)
    if len(seen) != len(files):
        raise _bad("a path stands there twice")
    for path in seen:
        if any(str(parent) in seen for parent in PurePosixPath(path).parents):
            raise _bad("a file stands where it needs a folder", path)


def _bad(reason: str, path: str = "") -> InvalidInput:
    return InvalidInput(f"the list of files is malformed: {reason}", code="bad-files", subject=path)
