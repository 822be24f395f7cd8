"""What is deleted when it has become old: one row for each kind. The ledger is none of them."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping


@dataclass(frozen=True, slots=True)
class Kind:
    """One kind of old thing.

    Attributes:
        setting: its name in the retention settings.
        collection: where it is kept.
        time_field: what makes it old; indexed, so that looking costs nothing.
        only: what else a document must be.
    """

    setting: str
    collection: str
    time_field: str
    only: Mapping[str, Any] = field(default_factory=dict)


#: To have something new deleted in time, add a row, and its setting.
KINDS = (
    Kind("trail", "trail", "received_time"),
    # What an operator closed for as long as nothing changes is still at work.
    Kind("closed_issues", "issues", "closed_time", {"state": "closed", "holds": {"$ne": True}}),
    Kind("history", "history", "time"),
    Kind("outbox", "outbox", "created_time", {"state": {"$in": ["sent", "failed", "withdrawn"]}}),
    # The age of targets begins with their order's end: a device that took a release stays known.
    Kind("orders", "order_targets", "order_ended_time"),
    Kind("orders", "orders", "ended_time"),
    Kind("order_output", "order_output", "stored_time"),
    Kind("recordings", "transcripts", "stored_time"),
    Kind("invitations", "invitations", "expires_time"),
    Kind("invitations", "tokens", "expires_time"),
    Kind("invitations", "redemptions", "expires_time"),
)
