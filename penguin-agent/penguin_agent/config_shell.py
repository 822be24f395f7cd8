"""The section [shell] of the agent's settings: what root permits of remote shells."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from penguindome.settings import Section

_SECOND = timedelta(seconds=1)
_HOUR = timedelta(hours=1)
MIB = 1024 * 1024


@dataclass(frozen=True, slots=True)
class ShellSettings:
    """How remote shells are permitted.

    Attributes:
        require_consent: Whether somebody at the device has to agree to each session.
        consent_wait: How long an answer is waited for.
        users: Accounts that sessions may have; empty for all.
        idle: The longest time without a byte from the operator.
        longest: The longest session.
        sessions: How many at a time.
        resume: How long a lost link is waited for.
        recording_limit_bytes: The longest recording.
        deny_file: While this file exists there are no sessions, and those there are end.
        notify_desktop: Whether the users' desktops are told.
        notify_wall: Whether terminals are told.
    """

    require_consent: bool = False
    consent_wait: timedelta = timedelta(seconds=120)
    users: tuple[str, ...] = ()
    idle: timedelta = timedelta(minutes=15)
    longest: timedelta = timedelta(hours=4)
    sessions: int = 4
    resume: timedelta = timedelta(seconds=30)
    recording_limit_bytes: int = 2048 * MIB
    deny_file: Path = Path("/etc/penguin-agent/deny-shell")
    notify_desktop: bool = True
    notify_wall: bool = True


def shell_settings(section: Section) -> ShellSettings:
    """Read the section.

    Raises:
        InvalidInput: A value is out of bounds.
    """
    default = ShellSettings()

    def span(name: str, value: timedelta, longest: timedelta) -> timedelta:
        return section.duration(name, value, "seconds", minimum=_SECOND, maximum=longest)

    return ShellSettings(
        require_consent=section.boolean("require_consent", default.require_consent),
        consent_wait=span("consent_wait_seconds", default.consent_wait, _HOUR),
        users=section.texts("users", default.users),
        idle=span("idle_seconds", default.idle, 8 * _HOUR),
        longest=span("longest_seconds", default.longest, 24 * _HOUR),
        sessions=section.integer("sessions", default.sessions, minimum=1, maximum=16),
        resume=span("resume_seconds", default.resume, _HOUR),
        recording_limit_bytes=MIB
        * section.integer(
            "recording_limit_mib", default.recording_limit_bytes // MIB, minimum=1, maximum=65536
        ),
        deny_file=section.path("deny_file", default.deny_file),
        notify_desktop=section.boolean("notify_desktop", default.notify_desktop),
        notify_wall=section.boolean("notify_wall", default.notify_wall),
    )
