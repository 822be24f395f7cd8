"""The spool's files: written whole or not at all, and kept in memory while the disk is full."""

from __future__ import annotations

import re
import stat
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from logbook import Logger

from penguin_agent.spool_file import Kept, decode, encode
from penguin_agent.state import State, refused_output
from penguindome.durable import make_private_dir, write_file
from penguindome.errors import Damaged, LimitExceeded
from penguindome.reports import Report
from penguindome.times import from_unix_ms

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from penguindome.reports import Output

log = Logger(__name__)

_NAME = re.compile(r"([0-9]{12})-([0-9]{4})\.report")


@dataclass(slots=True)
class Entry:
    """One waiting report.

    Attributes:
        sequence: its place in the queue.
        part: its place among the parts of a report that was too large.
        size: bytes on disk.
        unchanged: whether it says only that nothing changed.
        request_id: the request that it answers.
        touched: whether it may have been sent.
        memory: the report itself, while the disk has no room for it.
    """

    sequence: int
    part: int
    size: int
    unchanged: bool
    request_id: str = ""
    touched: bool = False
    memory: Report | None = field(default=None, repr=False)

    @classmethod
    def fresh(cls, sequence: int, report: Report, part: int = 0) -> Entry:
        """Return the entry of a report that is about to be written."""
        unchanged = not (report.full or report.outputs or report.removed)
        return cls(sequence, part, 0, unchanged, report.request_id)

    @property
    def key(self) -> str:
        """Return the file's name without its ending; keys sort as the queue does."""
        return f"{self.sequence:012d}-{self.part:04d}"

    def is_superseded_by(self, newer: Entry) -> bool:
        """Whether a newer report says all that this one says."""
        quiet = self.unchanged and not self.request_id and not self.touched
        return quiet and newer.unchanged


@dataclass(frozen=True, slots=True)
class Acknowledged:
    """What the server has confirmed.

    Attributes:
        key: of the newest confirmed report that changed something; "" before the first.
        state: the outputs.
        refused: hash (hexadecimal) by name of outputs that the server never takes.
    """

    key: str = ""
    state: State = field(default_factory=State)
    refused: Mapping[str, str] = field(default_factory=dict)

    def substitute(self, output: Output) -> Output:
        """Return an output, or what stands for it if the server refused the very same."""
        refused = self.refused.get(output.name) == output.hash.hex()
        return refused_output(output) if refused else output

    def without(self, culprit: Output, stand_in: Output) -> Acknowledged:
        """Return this with a refused output replaced."""
        outputs = {**self.state.outputs, culprit.name: stand_in}
        refused = {**self.refused, culprit.name: culprit.hash.hex()}
        return replace(self, state=State(outputs), refused=refused)


class SpoolFolder:
    """The files below a state folder: `spool/` and `state/acknowledged`."""

    def __init__(self, state_dir: Path) -> None:
        self._spool = state_dir / "spool"
        self._state_file = state_dir / "state" / "acknowledged"
        self._behind = False
        make_private_dir(self._spool)
        make_private_dir(self._state_file.parent)

    @property
    def behind(self) -> bool:
        """Whether the confirmed state on disk is older than the one in memory."""
        return self._behind

    def entries(self, *, after: str) -> list[Entry]:
        """Return what waits, oldest first; confirmed and half-written files go."""
        found: list[Entry] = []
        for path in sorted(self._spool.iterdir()):
            match = _NAME.fullmatch(path.name)
            if match is None or path.stem <= after:
                path.unlink(missing_ok=True)
                continue
            found.append(self._entry(path, int(match[1]), int(match[2])))
        if found:
            found[0].touched = True
        return found

    def last_sequence(self) -> int:
        """Return the highest number in use, 0 for none."""
        keys = [path.stem for path in self._spool.iterdir() if _NAME.fullmatch(path.name)]
        keys.append(self.read_acknowledged().key or "0-0")
        return max(int(key.partition("-")[0]) for key in keys)

    def write(self, entry: Entry, report: Report) -> None:
        """Put a report on the disk, or keep it in memory while there is no room."""
        data = encode(report)
        entry.size = len(data)
        try:
            write_file(self._path(entry), data)
            entry.memory = None
        except LimitExceeded as error:
            log.warning("Report {} waits in memory: {}", report.report_id, error)
            entry.memory = report

    def read(self, entry: Entry) -> Report | None:
        """Return a waiting report; None if it is damaged, which deletes it."""
        if entry.memory is not None:
            return entry.memory
        try:
            return _kept(self._path(entry)).report
        except (Damaged, FileNotFoundError):
            self.delete(entry)
            return None

    def delete(self, entry: Entry) -> None:
        """Delete a report, unless the confirmed state on disk does not include it yet."""
        if not self._behind:
            self._path(entry).unlink(missing_ok=True)

    def encoded(self, report: Report) -> bytes:
        """Return the bytes of a report as they would be kept."""
        return encode(report)

    def read_acknowledged(self) -> Acknowledged:
        """Return the confirmed state; an empty one if there is none or it is damaged."""
        try:
            kept = _kept(self._state_file)
        except FileNotFoundError:
            return Acknowledged()
        except Damaged as error:
            log.warning("The confirmed state is lost, the next report is full: {}", error)
            return Acknowledged()
        state = State({output.name: output for output in kept.report.outputs})
        refused = {k[1:]: v for k, v in kept.notes.items() if k.startswith("!")}
        return Acknowledged(kept.notes.get("key", ""), state, refused)

    def write_acknowledged(self, known: Acknowledged) -> None:
        """Put the confirmed state on the disk; without room, files stay until there is some."""
        notes = {"key": known.key, **{f"!{name}": value for name, value in known.refused.items()}}
        try:
            write_file(self._state_file, encode(_as_report(known.state), notes))
        except LimitExceeded as error:
            log.warning("The confirmed state cannot be written: {}", error)
            self._behind = True
            return
        if self._behind:
            self._behind = False
            self.entries(after=known.key)

    def _entry(self, path: Path, sequence: int, part: int) -> Entry:
        size = path.lstat().st_size
        try:
            return replace(Entry.fresh(sequence, _kept(path).report, part), size=size)
        except Damaged:
            return Entry(sequence, part, size, unchanged=False)

    def _path(self, entry: Entry) -> Path:
        return self._spool / f"{entry.key}.report"


def _kept(path: Path) -> Kept:
    """Read a file of ours; what is no file is not opened, as a fifo would never end.

    Raises:
        Damaged: It is no regular file, or not what was written.
    """
    if not stat.S_ISREG(path.lstat().st_mode):
        raise Damaged("is no regular file", code="spool-damaged", subject=str(path))
    return decode(path.read_bytes())


def _as_report(state: State) -> Report:
    """Return a state in the form that files have; ids and times mean nothing there."""
    return Report(
        report_id="0" * 26,
        base_hash=b"",
        state_hash=state.hash(),
        collected_time=from_unix_ms(0),
        boot_id="",
        outputs=tuple(state.outputs[name] for name in sorted(state.outputs)),
        removed=(),
        full=True,
        following=(),
        request_id="",
    )
