"""What an applicant says, what it gets, and the rules for its words."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING, Literal

from penguindome.errors import InvalidInput

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import datetime

    from penguind.domain.device import Approval, Device

HINT_KINDS = frozenset({"machine-id", "product-uuid", "board-serial"})
_POLL_SHORTEST = timedelta(seconds=5)
_POLL_LONGEST = timedelta(minutes=5)
_HASH_SIZE = 32
_TEXT_LIMIT = 200


@dataclass(frozen=True, slots=True)
class Application:
    """A device's application, as it was received."""

    nonce: bytes
    token_id: bytes
    token_secret: bytes
    csr: bytes
    hostname: str
    hints: Mapping[str, bytes]
    agent_version: str
    os_name: str
    signature: bytes


@dataclass(frozen=True, slots=True)
class Outcome:
    """Where an applicant stands; `certificate` (PEM) only when active."""

    state: Literal["pending", "active", "rejected"]
    device_id: str
    certificate: bytes = b""
    approval: Approval | None = None
    poll_after_seconds: int = 0


def waiting(device: Device, now: datetime) -> Outcome:
    """Return the standing of a waiting device, which asks less often the longer it waits."""
    pause = min(max((now - device.enrolled_time) / 10, _POLL_SHORTEST), _POLL_LONGEST)
    return Outcome("pending", device.device_id, poll_after_seconds=pause // timedelta(seconds=1))


def check_application(application: Application) -> None:
    """Check the sizes and kinds of an application's words.

    Raises:
        InvalidInput: naming the first that is wrong.
    """
    unknown = sorted(set(application.hints) - HINT_KINDS)
    if unknown:
        raise InvalidInput(f"unknown kind of hint {unknown[0][:64]!r}", subject="hints")
    if any(len(value) != _HASH_SIZE for value in application.hints.values()):
        raise InvalidInput(f"a hint is not {_HASH_SIZE} bytes long", subject="hints")


def shortened(text: str) -> str:
    """Return a device's word about itself at a length that can be kept."""
    return text[:_TEXT_LIMIT]
