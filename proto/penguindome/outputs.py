"""Define what plugins said, and the hash of the state that it adds up to."""

from __future__ import annotations

import hashlib
import re
from dataclasses import dataclass
from enum import StrEnum
from functools import cached_property
from typing import TYPE_CHECKING

from penguindome.framing import frame

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import datetime

HASH_BYTES = 32
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]{0,63}")


class OutputStatus(StrEnum):
    """Say what became of one plugin run."""

    OK = "ok"
    UNKNOWN = "unknown"
    ERROR = "error"
    TIMEOUT = "timeout"
    NOT_APPLICABLE = "not-applicable"
    CACHED = "cached"


@dataclass(frozen=True)
class Output:
    """Hold what one plugin said.

    Attributes:
        name: The plugin's name.
        status: What became of the run.
        json: Canonical JSON; empty unless ok, unknown or cached.
        reason: Why there is none; one line.
        collected_time: When it ran, by the device's clock.
        cached_time: When a cached answer was first given.
        local: Whether the plugin came from the device's local folder.
    """

    name: str
    status: OutputStatus
    json: bytes
    reason: str
    collected_time: datetime
    cached_time: datetime | None = None
    local: bool = False

    @cached_property
    def hash(self) -> bytes:
        """Hash what the state is about: times aside, so that only content counts."""
        local = b"1" if self.local else b"0"
        reason = self.reason.encode("utf-8", "surrogatepass")
        return hashlib.sha256(
            frame("output", self.status.value.encode(), self.json, reason, local)
        ).digest()


@dataclass(frozen=True, slots=True)
class Report:
    """Hold what changed on a device since the last acknowledged report.

    Attributes:
        report_id: A ULID made by the agent.
        base_hash: The hash of the state that the report builds on; empty if full.
        state_hash: The hash of the state after it.
        collected_time: When it was made, by the device's clock.
        boot_id: The kernel's boot id.
        outputs: New and changed ones; all of them if full.
        removed: Names that the state no longer has.
        full: Whether the report replaces the state.
        following: Names that come in the next reports, outside the hash until then.
        request_id: The collect request that it answers.
    """

    report_id: str
    base_hash: bytes
    state_hash: bytes
    collected_time: datetime
    boot_id: str = ""
    outputs: tuple[Output, ...] = ()
    removed: tuple[str, ...] = ()
    full: bool = False
    following: tuple[str, ...] = ()
    request_id: str = ""


def state_hash(hashes: Mapping[str, bytes]) -> bytes:
    """Return the hash of a state, from its outputs' hashes by name."""
    fields = [part for name in sorted(hashes) for part in (name.encode(), hashes[name])]
    return hashlib.sha256(frame("state", *fields)).digest()


def valid_plugin_name(text: str) -> bool:
    """Tell whether a text may name a plugin and its output."""
    return _NAME.fullmatch(text) is not None


def output_size(output: Output) -> int:
    """Return roughly how many bytes an output takes in a message."""
    return len(output.name) + len(output.json) + len(output.reason.encode("utf-8", "replace")) + 64
