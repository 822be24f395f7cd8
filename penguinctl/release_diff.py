"""What differs between two releases."""

from __future__ import annotations

import difflib
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from penguinctl import contents, output, releases, ui
from penguinctl.output import Column
from penguinctl.ui import Styled
from penguindome.display import printable

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from penguinctl.app import App
    from penguindome.orders.manifest import FileEntry
    from penguindome.orders.release_body import ReleaseBody

_COLUMNS = (
    Column("CHANGE"),
    Column("PATH", shrinks=True),
    Column("FROM"),
    Column("TO"),
)
_STYLES = {"added": "green", "removed": "red", "changed": "yellow", "setting": "yellow"}
# Beyond this a file is no text that people compare.
_TEXT_BYTES = 256 * 1024


@dataclass(frozen=True, slots=True)
class Side:
    """One of two releases: what it says, and its contents as far as they are here."""

    name: str
    body: ReleaseBody
    contents: Mapping[str, bytes]


@dataclass(frozen=True, slots=True)
class Change:
    """One difference; a file that was added has no `before`, one that was removed no `after`."""

    what: str
    name: str
    before: str
    after: str
    entries: tuple[FileEntry | None, FileEntry | None] = (None, None)

    def to_json(self) -> dict[str, Any]:
        """Return it for programs."""
        return {
            "change": self.what,
            "path": self.name,
            "from": self.before or None,
            "to": self.after or None,
        }


def side(app: App, term: str) -> Side:
    """Return what a release's number, a folder or a file says; an empty one means the newest.

    Raises:
        NotFound: There is none.
        NotVerified: A published release is not signed by who may.
    """
    path = Path(term)
    if not term or (term.isdecimal() and not path.exists()):
        number = int(term or "0")
        name = f"release {number}" if number else "the newest release"
        return Side(name, releases.verified_body(app, number), {})
    found = releases.load(path, releases.Wishes())
    return Side(term, found.body, found.contents)


def changes(old: ReleaseBody, new: ReleaseBody) -> list[Change]:
    """Return all differences: files by path, then settings."""
    before = {one.path: one for one in old.files}
    after = {one.path: one for one in new.files}
    found = [
        _change(path, before.get(path), after.get(path))
        for path in sorted(before.keys() | after.keys())
        if before.get(path) != after.get(path)
    ]
    was, now = old.settings.to_json(), new.settings.to_json()
    found += [
        Change("setting", name, _said(was.get(name)), _said(now.get(name)))
        for name in sorted(was.keys() | now.keys())
        if was.get(name) != now.get(name)
    ]
    if old.label != new.label:
        found.append(Change("setting", "label", old.label, new.label))
    return found


def _change(path: str, old: FileEntry | None, new: FileEntry | None) -> Change:
    what = "changed" if old and new else "added" if new else "removed"
    return Change(what, path, _entry(old), _entry(new), (old, new))


def _entry(one: FileEntry | None) -> str:
    return f"{one.mode:04o} {one.size:,} B {one.sha256[:12]}" if one else ""


def _said(value: Any) -> str:
    return "" if value in (None, [], {}) else str(value)


def table(found: Sequence[Change]) -> None:
    """Print differences, a line each."""
    if not found:
        ui.out("They are the same.")
        return
    rows = [
        (Styled(one.what, _STYLES[one.what]), one.name, one.before or "-", one.after or "-")
        for one in found
    ]
    output.table(_COLUMNS, rows)


def texts(app: App, found: Sequence[Change], old: Side, new: Side) -> None:
    """Print what changed in files of text, line by line."""
    for one in found:
        if one.what == "setting":
            continue
        first, second = (
            _text(app, entry, where) for entry, where in zip(one.entries, (old, new), strict=True)
        )
        if first is None or second is None:
            ui.out(f"{printable(one.name)}: no text, or too long to be compared here")
            continue
        for line in difflib.unified_diff(
            first, second, f"{old.name}: {one.name}", f"{new.name}: {one.name}", lineterm=""
        ):
            style = {"+": "green", "-": "red", "@": "dim"}.get(line[:1], "")
            ui.out(Styled(printable(line), style) if style else printable(line))


def _text(app: App, entry: FileEntry | None, where: Side) -> list[str] | None:
    """Return a file's lines; None for what is no text."""
    if entry is None:
        return []
    if entry.size > _TEXT_BYTES:
        return None
    data = where.contents.get(entry.sha256)
    try:
        text = (contents.download(app, entry.sha256) if data is None else data).decode()
    except UnicodeDecodeError:
        return None
    return None if "\0" in text else text.splitlines()
