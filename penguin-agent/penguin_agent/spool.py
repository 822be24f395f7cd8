"""The queue of reports on disk: nothing lost, nothing twice, never without bound.

Files `<sequence>-<part>.report` hold changes, oldest first; `state/acknowledged` holds the state
that the server has confirmed. The rules:

1. A report is on disk before anybody hears of it; only the server's word deletes it.
2. The oldest report goes alone. Once handed out it keeps its id and content until it is answered.
3. Hashes are written when a report is handed out, on the state it then builds on.
4. Where the server holds another base, the oldest report becomes a full one.
5. Where the server refuses a report for ever, it is put aside, and the next one is full.
6. Too many or too large: neighbours are merged, never the one that may be under way.
7. A full disk: the newest report waits in memory, and what a crash takes is collected anew.
8. A file left behind by a crash is confirmed already (its key says so) or harmless to repeat.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from logbook import Logger

from penguin_agent.failpoints import no_failpoint
from penguin_agent.spool_folder import Entry, SpoolFolder
from penguin_agent.state import as_full, chained, fitted, merged, refused_output
from penguindome.reports import Report, split_report

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Sequence
    from datetime import datetime

    from penguin_agent.dead_letters import DeadLetters
    from penguin_agent.failpoints import Failpoint
    from penguin_agent.state import State
    from penguindome.reports import Output

log = Logger(__name__)

MIB = 1024 * 1024


@dataclass(frozen=True, slots=True)
class SpoolLimits:
    """How much may wait on the device."""

    entries: int = 64
    bytes: int = 32 * MIB
    message_bytes: int = MIB


class Spool:
    """Reports that wait, and the states before and after them.

    Args:
        folder: the files.
        dead_letters: where refused reports go.
        new_id: makes a fresh report id.
        limits: the bounds.
        failpoint: for tests of crashes.
    """

    def __init__(
        self,
        folder: SpoolFolder,
        dead_letters: DeadLetters,
        *,
        new_id: Callable[[], str],
        limits: SpoolLimits | None = None,
        failpoint: Failpoint = no_failpoint,
    ) -> None:
        self._folder = folder
        self._dead_letters = dead_letters
        self._new_id = new_id
        self._limits = limits or SpoolLimits()
        self._failpoint = failpoint
        self._known = folder.read_acknowledged()
        self._base_held = self._known.key != ""
        self._entries: list[Entry] = []
        self._tail = self._known.state
        self._next = folder.last_sequence() + 1
        self._load()

    @property
    def depth(self) -> int:
        """Return how many reports wait."""
        return len(self._entries)

    @property
    def size_bytes(self) -> int:
        """Return how much waits."""
        return sum(entry.size for entry in self._entries)

    @property
    def current(self) -> State:
        """Return the state after everything that was collected."""
        return self._tail

    @property
    def acknowledged(self) -> State:
        """Return the state that the server has confirmed, or passed over for ever."""
        return self._known.state

    def record(
        self,
        outputs: Sequence[Output],
        gone: Collection[str],
        *,
        now: datetime,
        boot_id: str,
        request_id: str = "",
    ) -> bool:
        """Keep what a collection found; returns whether anything changed.

        Args:
            outputs: what plugins said, of this collection only.
            gone: names of plugins that are no longer there.
            now: the device's clock.
            boot_id: the kernel's.
            request_id: the request that asked for it.
        """
        accepted = fitted([self._known.substitute(o) for o in outputs], self._tail)
        changed = self._tail.changed(accepted)
        removed = tuple(sorted(name for name in gone if name in self._tail.outputs))
        report = Report(
            report_id=self._new_id(),
            base_hash=b"",
            state_hash=b"",
            collected_time=now,
            boot_id=boot_id,
            outputs=changed,
            removed=removed,
            full=False,
            following=(),
            request_id=request_id,
        )
        self._append(chained(report, self._tail))
        self._tail = self._tail.after(report).refreshed(accepted)
        self._bound()
        return bool(changed or removed)

    def head(self) -> Report | None:
        """Hand out the oldest report, ready to send; None when nothing waits."""
        while self._entries:
            entry = self._entries[0]
            report = self._folder.read(entry)
            if report is not None:
                sendable = self._prepared(entry, report)
                self._entries[0].touched = True
                return sendable
            log.error("Report {} was damaged on the disk; its content is collected anew", entry.key)
            self._entries.pop(0)
            self._retail()
        return None

    def acknowledge(self, report: Report) -> None:
        """Note that the server has stored the report handed out last."""
        entry = self._entries[0]
        self._failpoint("spool.acknowledged")
        changes = report.full or bool(report.outputs or report.removed)
        self._known = replace(self._known, state=self._known.state.after(report), key=entry.key)
        if changes or not self._base_held or self._folder.behind:
            self._folder.write_acknowledged(self._known)
            self._failpoint("spool.state-written")
        self._base_held = True
        self._entries.pop(0)
        self._folder.delete(entry)
        self._failpoint("spool.deleted")

    def need_full(self) -> None:
        """Note that the server does not hold the base: the oldest report becomes a full one."""
        self._base_held = False

    def refuse(self, report: Report, *, reason: str, subject: str, now: datetime) -> None:
        """Put the report handed out last aside for ever; the next one is full.

        Args:
            report: as handed out.
            reason: the server's words.
            subject: the output that the server named, if any: an error stands for it from now on.
            now: the device's clock.
        """
        entry = self._entries[0]
        self._dead_letters.add(
            report.report_id, self._folder.encoded(report), reason=reason, now=now
        )
        self._failpoint("spool.put-aside")
        state = self._known.state.after(report)
        known = replace(self._known, state=state, key=entry.key)
        culprit = state.outputs.get(subject)
        if culprit is not None:
            known = known.without(culprit, refused_output(culprit))
        self._known = known
        self._base_held = False
        self._folder.write_acknowledged(known)
        self._entries.pop(0)
        self._folder.delete(entry)
        self._retail()
        if culprit is not None and not self._entries:
            # Without the culprit the rest can go at once; it becomes a full report.
            rest = replace(report, report_id=self._new_id(), full=False, outputs=(), following=())
            self._append(chained(rest, self._tail))

    def _load(self) -> None:
        for entry in self._folder.entries(after=self._known.key):
            self._entries.append(entry)
        self._retail()

    def _retail(self) -> None:
        """Work out the newest state from the confirmed one and what waits."""
        self._tail = self._known.state
        for entry in list(self._entries):
            report = self._folder.read(entry)
            if report is None:
                log.error("Report {} is damaged; its content is collected anew", entry.key)
                self._entries.remove(entry)
            else:
                self._tail = self._tail.after(report)

    def _append(self, report: Report) -> None:
        last = self._entries[-1] if self._entries else None
        entry = Entry.fresh(self._next, report)
        self._next += 1
        self._folder.write(entry, report)
        self._failpoint("spool.written")
        if last is not None and last.is_superseded_by(entry):
            self._entries.pop()
            self._folder.delete(last)
        self._entries.append(entry)

    def _prepared(self, entry: Entry, report: Report) -> Report:
        """Return what goes over the wire for the oldest entry; on disk first if it is another."""
        if not self._base_held and not report.full:
            coming = self._tail.outputs
            report = as_full(report, self._known.state, report_id=self._new_id(), coming=coming)
            report, swallowed = self._with_parts(entry, report)
            self._replace_head([report])
            for part in swallowed:
                self._folder.delete(part)
        ready = chained(report, self._known.state)
        base = {name: output.hash for name, output in self._known.state.outputs.items()}
        parts = split_report(ready, self._limits.message_bytes, base=base)
        if len(parts) > 1:
            self._replace_head(parts)
        return chained(parts[0], self._known.state)

    def _with_parts(self, entry: Entry, full: Report) -> tuple[Report, list[Entry]]:
        """Take the further parts of a report that was split into its full successor.

        Their files go once that one is on the disk.
        """
        swallowed: list[Entry] = []
        while len(self._entries) > 1 and self._entries[1].sequence == entry.sequence:
            swallowed.append(self._entries.pop(1))
            part = self._folder.read(swallowed[-1])
            if part is not None:
                full = merged(full, part, report_id=full.report_id)
        return full, swallowed

    def _replace_head(self, parts: Sequence[Report]) -> None:
        """Write other reports in the oldest one's place: the last first, its own file last."""
        old = self._entries[0]
        entries = [Entry.fresh(old.sequence, part, old.part + n) for n, part in enumerate(parts)]
        for entry, part in reversed(list(zip(entries, parts, strict=True))):
            self._folder.write(entry, part)
            self._failpoint("spool.part-written")
        # After a crash in the middle of this, some parts are there already.
        keys = {entry.key for entry in entries}
        self._entries = [*entries, *(e for e in self._entries[1:] if e.key not in keys)]

    def _bound(self) -> None:
        while self._over() and self._merge_neighbours():
            pass

    def _over(self) -> bool:
        return self.depth > self._limits.entries or self.size_bytes > self._limits.bytes

    def _merge_neighbours(self) -> bool:
        """Merge pairs, so that history gets coarser with age; returns whether any was merged."""
        kept: list[Entry] = []
        waiting = self._entries
        while waiting:
            first, *rest = waiting
            entry = None if first.touched or not rest else self._merged(first, rest[0])
            kept.append(entry or first)
            waiting = rest[1:] if entry else rest
        shrunk = len(kept) < self.depth
        self._entries = kept
        return shrunk

    def _merged(self, first: Entry, second: Entry) -> Entry | None:
        """Merge two neighbours into the first one's file."""
        one, two = self._folder.read(first), self._folder.read(second)
        if one is None or two is None:
            return None
        report = merged(one, two, report_id=self._new_id())
        entry = Entry.fresh(first.sequence, report, first.part)
        self._folder.write(entry, report)
        self._failpoint("spool.merged")
        self._folder.delete(second)
        return entry
