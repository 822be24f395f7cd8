"""A device as the server sees it: makes reports about a state of its own."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

from penguindome.ids import new_ulid
from penguindome.reports import Output, OutputStatus, Report, canonical_json, state_hash

NOW = datetime(2026, 11, 25, 12, tzinfo=UTC)


def output(name: str, value: Any = None, **facts: Any) -> Output:
    """Return an output; status ok unless told otherwise."""
    status = facts.pop("status", OutputStatus.OK)
    valued = status in (OutputStatus.OK, OutputStatus.CACHED) or value is not None
    return Output(
        name=name,
        status=status,
        json=canonical_json(value) if valued else b"",
        reason=facts.pop("reason", ""),
        collected_time=facts.pop("collected_time", NOW),
        **facts,
    )


@dataclass
class Reporter:
    """Keeps what the device has and what the server acknowledged."""

    device_id: str
    hostname: str = "web-1"
    outputs: dict[str, Output] = field(default_factory=dict)
    base_hash: bytes = b""
    time: datetime = NOW

    @property
    def hash(self) -> bytes:
        """Return the hash of the present state."""
        return state_hash({name: one.hash for name, one in self.outputs.items()})

    def set(self, **values: Any) -> list[Output]:
        """Change outputs to ok ones with these values."""
        return self.put(*(output(name, value) for name, value in values.items()))

    def put(self, *changed: Output) -> list[Output]:
        """Change outputs."""
        self.outputs |= {one.name: one for one in changed}
        return list(changed)

    def full(self, **facts: Any) -> Report:
        """Return a report of everything."""
        return self._report(base_hash=b"", full=True, outputs=tuple(self.outputs.values()), **facts)

    def delta(self, *changed: Output, removed: tuple[str, ...] = (), **facts: Any) -> Report:
        """Return a report of what changed since the last one."""
        for name in removed:
            self.outputs.pop(name, None)
        base = facts.pop("base_hash", self.base_hash)
        return self._report(base_hash=base, outputs=changed, removed=removed, **facts)

    def _report(self, **facts: Any) -> Report:
        self.time += timedelta(seconds=1)
        report = Report(
            report_id=new_ulid(self.time),
            state_hash=facts.pop("state_hash", self.hash),
            collected_time=self.time,
            boot_id="boot-1",
            **facts,
        )
        self.base_hash = report.state_hash
        return report
