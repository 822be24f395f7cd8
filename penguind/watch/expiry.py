"""How an end that comes nearer is told: in words and in severity, in a few steps.

1. More than half of the warning time is left: medium.
2. More than a quarter: high.
3. Less, or it ended: critical.

A step is other evidence, so that an issue that an operator closed comes back with the next one.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING

from penguind.domain.check import SEVERITIES
from penguind.own_issues import Finding
from penguindome.times import to_iso

if TYPE_CHECKING:
    from datetime import datetime

    from penguind.domain.check import Severity

NAME = "expiring-certificate"


@dataclass(frozen=True, slots=True)
class Expiring:
    """Something that ends: `window` before that, people are told for the first time."""

    subject: str
    hostname: str
    what: str
    end_time: datetime
    window: timedelta


def expiry_finding(one: Expiring, now: datetime, *, worst: Severity = "critical") -> Finding | None:
    """Return what to say about an end, None while it is far away."""
    left = one.end_time - now
    if left >= one.window:
        return None
    step, words = _step(left, one.window)
    summary = f"{one.what} {words} {one.end_time:%Y-%m-%d}"
    return Finding(
        one.subject,
        one.hostname,
        f"it ends at {to_iso(one.end_time)}",
        {"ends": to_iso(one.end_time), "step": words},
        severity=min(step, worst, key=SEVERITIES.index),
        summary=summary,
    )


def _step(left: timedelta, window: timedelta) -> tuple[Severity, str]:
    if left <= timedelta():
        return "critical", "ended on"
    if left < window / 4:
        return "critical", "is about to end, on"
    if left < window / 2:
        return "high", "ends soon, on"
    return "medium", "ends on"
