"""Keep what the server will never take, with its reason, where a person can look at it."""

from __future__ import annotations

import base64
import json
from typing import TYPE_CHECKING

from logbook import Logger

from penguindome.durable import make_private_dir, write_file
from penguindome.errors import LimitExceeded
from penguindome.times import to_iso

if TYPE_CHECKING:
    from datetime import datetime
    from pathlib import Path

log = Logger(__name__)

KEPT = 32


class DeadLetters:
    """A folder of refused reports; the newest KEPT stay."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory
        make_private_dir(directory)

    def add(self, name: str, data: bytes, *, reason: str, now: datetime) -> None:
        """Put a report aside; a full disk loses the copy, never the queue behind it."""
        text = json.dumps(
            {
                "reason": reason,
                "refused_time": to_iso(now),
                "report": base64.b64encode(data).decode(),
            },
            indent=1,
        )
        try:
            write_file(self._directory / f"{name}.json", text.encode())
        except LimitExceeded as error:
            log.warning("Refused report {} is not kept: {}", name, error)
        for path in self._paths()[:-KEPT]:
            path.unlink(missing_ok=True)

    def count(self) -> int:
        """Return how many there are."""
        return len(self._paths())

    def listed(self) -> list[dict[str, str]]:
        """Return name, reason and time of each, oldest first."""
        return [_summary(path) for path in self._paths()]

    def _paths(self) -> list[Path]:
        return sorted(self._directory.glob("*.json"))


def _summary(path: Path) -> dict[str, str]:
    try:
        letter = json.loads(path.read_text("utf-8"))
        return {
            "name": path.stem,
            "reason": str(letter["reason"]),
            "time": str(letter["refused_time"]),
        }
    except (OSError, ValueError, KeyError, TypeError):
        return {"name": path.stem, "reason": "cannot be read", "time": ""}
