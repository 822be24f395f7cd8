"""What is wrong with orders: patches that wait, and orders that devices had to refuse."""

from __future__ import annotations

from collections import defaultdict
from datetime import timedelta
from typing import TYPE_CHECKING

from penguind.own_issues import Finding

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from penguind.domain.order import Target

PATCHES = "pending-patches"
REFUSED = "order-refused-signed"
REFUSED_FOR = timedelta(days=7)
#: Why a device refuses an order that an honest server would not have handed to it.
CONTRADICTIONS = frozenset(
    {
        "bad-envelope",
        "equivocation",
        "not-signed",
        "old-number",
        "wrong-device",
        "wrong-fleet",
        "wrong-kind",
    }
)
_LISTED = 20


def pending(targets: Iterable[Target]) -> Iterator[Finding]:
    """Find devices with patches that they have yet to take."""
    for device_id, waiting in _by_device(targets).items():
        count = len(waiting)
        yield Finding(
            device_id,
            waiting[-1].hostname,
            f"{count} {'patch' if count == 1 else 'patches'} to be taken",
            {
                "patches": [one.order_id for one in waiting[:_LISTED]],
                "paths": sorted({path for one in waiting for path in one.paths})[:_LISTED],
            },
        )


def refused(targets: Iterable[Target]) -> Iterator[Finding]:
    """Find devices that refused what contradicts what they know."""
    for device_id, found in _by_device(targets).items():
        yield Finding(
            device_id,
            found[-1].hostname,
            f"refused as {found[-1].code}",
            {"orders": [{"order_id": one.order_id, "code": one.code} for one in found[-_LISTED:]]},
        )


def _by_device(targets: Iterable[Target]) -> dict[str, list[Target]]:
    by_device: defaultdict[str, list[Target]] = defaultdict(list)
    for one in targets:
        by_device[one.device_id].append(one)
    return by_device
