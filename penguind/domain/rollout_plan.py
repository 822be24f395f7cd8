"""The plan of a rollout: its rings, and who is in which."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, replace
from datetime import timedelta
from typing import TYPE_CHECKING

from penguindome.errors import InvalidInput
from penguindome.names import valid_label

if TYPE_CHECKING:
    from collections.abc import Iterable

HEALTHY_PERCENT = 90
RINGS_LIMIT = 16
LONGEST_SOAK = timedelta(days=365)
WHOLE = 100
_RESERVED = frozenset({"all", "rest"})


@dataclass(frozen=True, slots=True)
class Ring:
    """One step: devices up to a share of the fleet, percent, or those that selectors pick."""

    name: str
    percent: int = 0
    selectors: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Plan:
    """How a release is rolled out; no rings mean all devices at once."""

    rings: tuple[Ring, ...] = ()
    healthy_percent: int = HEALTHY_PERCENT
    automatic: bool = False
    soak: timedelta = timedelta()

    @property
    def names(self) -> tuple[str, ...]:
        """Return the names of all steps: the rings, then everybody else."""
        if not self.rings:
            return ("all",)
        return (*(one.name for one in self.rings), "rest")


def share(device_id: str, number: int) -> int:
    """Return where a device stands in a release's order of devices, 0 to 99."""
    digest = hashlib.sha256(f"{number}:{device_id}".encode()).digest()
    return int.from_bytes(digest[:8], "big") * WHOLE >> 64


def ring_of(plan: Plan, number: int, device_id: str, picked: Iterable[bool]) -> int:
    """Return the index of a device's ring.

    Args:
        plan: The release's plan.
        number: The release's number.
        device_id: The device.
        picked: For each ring whether its selectors pick the device; ignored for shares.
    """
    for index, (ring, chosen) in enumerate(zip(plan.rings, picked, strict=True)):
        if share(device_id, number) < ring.percent if ring.percent else chosen:
            return index
    return len(plan.rings)


def checked_plan(plan: Plan) -> Plan:
    """Return a plan that can be followed; 0 healthy per cent means the default.

    Raises:
        InvalidInput: It cannot; names the ring.
    """
    if len(plan.rings) > RINGS_LIMIT:
        raise _bad(f"there are more than {RINGS_LIMIT} rings")
    if not 0 <= plan.healthy_percent <= WHOLE:
        raise _bad("how many are to be healthy is not within 1 and 100 per cent")
    if not timedelta() <= plan.soak <= LONGEST_SOAK:
        raise _bad("a ring soaks for a year at most")
    names: set[str] = set()
    percent = 0
    for ring in plan.rings:
        if not valid_label(ring.name) or ring.name in _RESERVED | names:
            raise _bad("its name is none, reserved or used twice", ring.name)
        names.add(ring.name)
        if bool(ring.percent) == bool(ring.selectors) or not 0 <= ring.percent <= WHOLE:
            raise _bad("it needs either selectors or a share of 1 to 100 per cent", ring.name)
        if ring.percent and ring.percent <= percent:
            raise _bad("its share is not larger than the one before, so it adds nobody", ring.name)
        percent = max(percent, ring.percent)
    return replace(plan, healthy_percent=plan.healthy_percent or HEALTHY_PERCENT)


def _bad(reason: str, subject: str = "") -> InvalidInput:
    return InvalidInput(
        f"the release cannot be rolled out so: {reason}",
        code="bad-plan",
        subject=subject[:64],
        remedy="for example --ring canary=label:canary --ring 10% --ring 50%",
    )
