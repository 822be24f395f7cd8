"""The server's verdicts about this device, kept to be shown offline, with their time."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from logbook import Logger

from penguindome.durable import is_regular, write_file
from penguindome.errors import LimitExceeded
from penguindome.times import from_unix_ms, to_iso

if TYPE_CHECKING:
    from datetime import datetime
    from pathlib import Path

    from penguin_agent.connection import Verdict

log = Logger(__name__)


@dataclass(frozen=True, slots=True)
class VerdictFile:
    """The file `verdicts.json`."""

    path: Path

    def keep(self, verdicts: tuple[Verdict, ...], audited: datetime, now: datetime) -> None:
        """Write what the server said; a full disk keeps the older words."""
        value = {
            "verdicts": [_to_json(each) for each in verdicts],
            # Zero stands for a device that was never judged.
            "audited_time": to_iso(audited) if audited > from_unix_ms(0) else "",
            "fetched_time": to_iso(now),
        }
        try:
            write_file(self.path, json.dumps(value, indent=1).encode())
        except LimitExceeded as error:
            log.warning("Verdicts cannot be kept: {}", error)

    def read(self) -> dict[str, Any]:
        """Return what is kept; empty words if there is nothing."""
        try:
            value = json.loads(self.path.read_bytes()) if is_regular(self.path) else None
        except ValueError:
            value = None
        if not isinstance(value, dict):
            return {"verdicts": [], "audited_time": "", "fetched_time": ""}
        return value


def _to_json(verdict: Verdict) -> dict[str, str]:
    grace = verdict.grace_until_time
    return {
        "check": verdict.check,
        "severity": verdict.severity,
        "opened_time": to_iso(verdict.opened_time),
        "summary": verdict.summary,
        "remedy": verdict.remedy,
        "grace_until_time": to_iso(grace) if grace else "",
    }
