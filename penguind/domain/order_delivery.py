"""In which order a device gets orders, and how many at a time.

A device is given at most `UNHEARD_LIMIT` orders that it has not answered, and as many urgent ones
beside; urgent ones first, then the older ones.
"""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable

UNHEARD_LIMIT = 16


@dataclass(frozen=True, slots=True)
class Unheard:
    """A target that is queued, or was sent and not answered."""

    order_id: str
    device_id: str
    state: str
    urgent: bool


def to_send(found: Iterable[Unheard]) -> list[Unheard]:
    """Return those queued that may be sent now, each device's in the order of sending."""
    by_lane: defaultdict[tuple[str, bool], list[Unheard]] = defaultdict(list)
    for one in found:
        by_lane[one.device_id, one.urgent].append(one)
    chosen: list[Unheard] = []
    for lane in by_lane.values():
        free = UNHEARD_LIMIT - sum(one.state != "queued" for one in lane)
        queued = sorted((one for one in lane if one.state == "queued"), key=_in_turn)
        chosen += queued[: max(free, 0)]
    return sorted(chosen, key=_in_turn)


def _in_turn(one: Unheard) -> tuple[bool, str]:
    return (not one.urgent, one.order_id)
