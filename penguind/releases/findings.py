"""What is wrong with releases: on devices, and with a rollout as a whole."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING

from penguind.domain.issue import SUBJECT
from penguind.own_issues import Finding
from penguind.releases.rings import FAILED

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping
    from datetime import datetime

    from penguind.domain.device import Device
    from penguind.domain.rollout import Rollout
    from penguind.releases.rings import Standing
    from penguind.store.release_facts import Taken

HALTED = "release-halted"
FAILED_HERE = "release-failed"
OUTDATED = "release-outdated"
ENDING = "release-ending"
#: A device may take so long over a release that it could have had.
LAG = timedelta(days=3)
#: So long before no device takes the newest release any more, people are told.
ENDING_WITHIN = timedelta(days=14)


def halted(rollouts: Iterable[Rollout]) -> Iterator[Finding]:
    """Find releases that are given to nobody until an operator decides."""
    for one in rollouts:
        if one.state == "halted":
            evidence = {"release": one.number, "because": one.reason}
            yield Finding(*_subject(one), one.reason, evidence)


def ending(rollouts: Iterable[Rollout], now: datetime) -> Iterator[Finding]:
    """Find the newest release if devices can soon take it no more."""
    standing = [one for one in rollouts if one.state in ("rolling", "complete")]
    newest = max(standing, key=lambda one: one.number, default=None)
    if newest is not None and newest.expires_time - now < ENDING_WITHIN:
        reason = f"no device takes it after {newest.expires_time:%Y-%m-%d}"
        evidence = {"release": newest.number, "because": reason}
        yield Finding(*_subject(newest), reason, evidence)


def failed(taken: Mapping[str, Taken], devices: Iterable[Device]) -> Iterator[Finding]:
    """Find devices that could not take the newest release that they were sent."""
    for device in devices:
        one = taken.get(device.device_id)
        if one is not None and one.state in FAILED:
            reason = one.reason or one.state
            evidence = {"release": one.number, "because": reason}
            yield Finding(device.device_id, device.hostname, reason, evidence)


def outdated(
    offered: Iterable[tuple[Rollout, Standing]], devices: Iterable[Device], now: datetime
) -> Iterator[Finding]:
    """Find devices that were here and did not take a release that they could have had for long.

    Args:
        offered: Releases that devices get, and how they stand; the newest first.
        devices: The fleet.
        now: The time.
    """
    newest_first = list(offered)
    for device in devices:
        for rollout, standing in newest_first:
            ring = standing.ring_by_device.get(device.device_id, rollout.open_rings)
            if ring >= rollout.open_rings:
                continue
            state = standing.state_by_device.get(device.device_id, "")
            opened = rollout.opened_times[ring]
            seen = device.last_seen_time
            waits = state in ("", "sent", "accepted", "running")
            if waits and now - opened > LAG and seen is not None and seen > opened:
                reason = f"release {rollout.number} is due since {opened:%Y-%m-%d}"
                evidence = {"release": rollout.number, "because": reason}
                yield Finding(device.device_id, device.hostname, reason, evidence)
            break


def _subject(rollout: Rollout) -> tuple[str, str]:
    return f"{SUBJECT}release/{rollout.number}", f"release-{rollout.number}"
