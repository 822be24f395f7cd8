"""What the server's own looks need to know of each device."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from datetime import datetime

    from penguind.domain.device import DeviceState


@dataclass(frozen=True, slots=True)
class DeviceFacts:
    """One device, in few words; `says_clock_wrong` is its agent's own word."""

    device_id: str
    hostname: str
    state: DeviceState
    agent_version: str
    clock_skew_ms: int
    last_seen_time: datetime | None
    certificate_expires_time: datetime | None
    says_clock_wrong: bool = False
