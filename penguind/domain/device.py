"""A device as the server knows it, without its outputs."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from collections.abc import Mapping

DeviceState = Literal["pending", "active", "blocked", "revoked"]
STATES: tuple[DeviceState, ...] = ("pending", "active", "blocked", "revoked")

# A device that was silent for longer has to be approved again.
DORMANT_AFTER = timedelta(days=400)


@dataclass(frozen=True, slots=True)
class Approval:
    """An operator's signed approval, kept as it was received."""

    kind: str
    payload: bytes
    signatures: tuple[bytes, ...]


@dataclass(frozen=True, slots=True)
class Device:
    """One device.

    `spki` is the public key that its certificates carry; `pending_spki` one that was asked for at a
    renewal and not used yet. `serials` are the newest certificates', oldest first. `hints` are
    keyed hashes of hardware identifiers by kind: they point, and never merge records. As it
    said itself, `release` is the number of the one that it runs, and `denied` are the kinds of
    orders that its own settings forbid.
    """

    device_id: str
    hostname: str
    state: DeviceState
    spki: bytes
    fingerprint: str
    enrolled_time: datetime
    serials: tuple[str, ...] = ()
    pending_spki: bytes | None = None
    labels: tuple[str, ...] = ()
    hints: Mapping[str, bytes] = field(default_factory=dict)
    approved_by: str = ""
    approval: Approval | None = None
    agent_version: str = ""
    os_name: str = ""
    peer_address: str = ""
    last_seen_time: datetime | None = None
    certificate_expires_time: datetime | None = None
    clock_skew_ms: int = 0
    token_id: str = ""
    csr_hash: bytes = b""
    revoked_time: datetime | None = None
    revoked_reason: str = ""
    replaces: str = ""
    listener: str = ""
    suspended_time: datetime | None = None
    suspended_by: str = ""
    suspended_reason: str = ""
    blocked_time: datetime | None = None
    blocked_by: str = ""
    blocked_reason: str = ""
    release: int = 0
    denied: tuple[str, ...] = ()

    def suspended(self, last_report_time: datetime | None) -> bool:
        """Tell whether nobody is told about it: it has not reported since that was decided.

        The report itself ends the suspension, so that no other write can fail or come late.
        """
        if self.suspended_time is None:
            return False
        return last_report_time is None or last_report_time <= self.suspended_time

    def dormant(self, now: datetime) -> bool:
        """Tell whether the device was silent for so long that it needs a new approval."""
        seen = max(self.last_seen_time or self.enrolled_time, self.enrolled_time)
        return now - seen > DORMANT_AFTER

    def keys(self) -> tuple[bytes, ...]:
        """Return the public keys that may speak for the device now."""
        return (self.spki,) if self.pending_spki is None else (self.spki, self.pending_spki)
