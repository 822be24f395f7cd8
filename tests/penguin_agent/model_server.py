"""A correct server for one device's reports, in memory, and what it remembers of them."""

from __future__ import annotations

from dataclasses import dataclass, field

from penguindome.errors import InvalidInput
from penguindome.outputs import state_hash
from penguindome.reports import Report, check_report


@dataclass
class ModelServer:
    """One device's state; `stored` lists what was stored, in order, once each."""

    hashes: dict[str, bytes] | None = None
    values: dict[str, bytes] = field(default_factory=dict)
    following: set[str] = field(default_factory=set)
    stored: list[Report] = field(default_factory=list)
    poison: set[bytes] = field(default_factory=set)

    def submit(self, report: Report) -> tuple[bool, bytes]:
        """Store a report, or ask for a full one; returns (stored, state hash)."""
        check_report(report)
        for output in report.outputs:
            if output.json in self.poison:
                raise InvalidInput("poison", subject=output.name)
        if report.report_id in {each.report_id for each in self.stored}:
            return True, self.hash()
        if report.full:
            kept = {n: v for n, v in self.values.items() if n in report.following}
            self.hashes, self.values, self.following = {}, kept, set(report.following)
        elif self.hashes is None or self.hash() != report.base_hash:
            return False, self.hash()
        assert self.hashes is not None
        for name in report.removed:
            self.following.discard(name)
            self.hashes.pop(name, None)
            self.values.pop(name, None)
        for output in report.outputs:
            self.hashes[output.name] = output.hash
            self.values[output.name] = output.json
            self.following.discard(output.name)
        assert self.hash() == report.state_hash
        self.stored.append(report)
        return True, self.hash()

    def hash(self) -> bytes:
        return state_hash(self.hashes) if self.hashes is not None else b""

    def forget(self) -> None:
        """Lose the state, as a server that was restored from an old backup."""
        self.hashes, self.values, self.following = None, {}, set()
