"""The settings of what is kept: how long the database keeps what grows, and periodic backups."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from penguindome.settings import Section

_MAX_DAYS = 36_500


#: How long things are kept, by the names of the retention table; None means for ever.
RetentionSettings = Mapping[str, timedelta | None]


@dataclass(frozen=True, slots=True)
class BackupSettings:
    """Periodic backups; none without a directory."""

    directory: Path | None
    interval: timedelta
    keep: int
    encrypt_to: tuple[Path, ...]


def retention_settings(section: Section) -> RetentionSettings:
    """Read `[retention]`; 0 days mean for ever."""
    return {
        "trail": _days(section, "trail_days", 400),
        "closed_issues": _days(section, "closed_issues_days", 400),
        "history": _days(section, "history_days", 400),
        "outbox": _days(section, "outbox_days", 30),
        "orders": _days(section, "orders_days", 400),
        "order_output": _days(section, "order_output_days", 180),
        "recordings": _days(section, "recordings_days", 400),
        "invitations": _days(section, "invitations_days", 90),
    }


def backup_settings(section: Section) -> BackupSettings:
    """Read `[backup]`."""
    directory = section.path("directory")
    keys = section.texts("encrypt_to")
    for key in keys:
        if not Path(key).is_absolute():
            raise section.error("encrypt_to", f"holds {key[:60]!r}, which is no absolute path")
    return BackupSettings(
        directory=directory if directory != Path() else None,
        interval=timedelta(hours=section.integer("interval_hours", 24, 1, 24 * 366)),
        keep=section.integer("keep", 7, 1, 10_000),
        encrypt_to=tuple(map(Path, keys)),
    )


def _days(section: Section, name: str, default: int) -> timedelta | None:
    days = section.integer(name, default, 0, _MAX_DAYS)
    return timedelta(days=days) if days else None
