"""Which devices are in which ring of a release, and how they fare."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING

from penguind.domain.rollout import Counts
from penguind.domain.rollout_plan import ring_of
from penguind.select import ACTIVE
from penguindome.errors import InvalidInput

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping, Sequence

    from penguind.domain.device import Device
    from penguind.domain.rollout import Rollout
    from penguind.domain.rollout_plan import Plan, Ring
    from penguind.select import DeviceSelector
    from penguind.store.devices import DeviceStore
    from penguind.store.release_facts import ReleaseFacts

RELEASES = "releases"
FAILED = frozenset({"failed", "timed-out", "interrupted"})
_UNDER_WAY = frozenset({"sent", "accepted", "running"})


@dataclass(frozen=True, slots=True)
class Standing:
    """How a release stands.

    Attributes:
        rings: Everybody's counts, in the plan's order, the rest last.
        judged: The same without the devices whose failure an operator has seen.
        failed: Ids of devices that failed.
        ring_by_device: The index of each active device's ring.
        state_by_device: What became of it on each device that was sent it, or refuses releases.
    """

    rings: Sequence[Counts]
    judged: Sequence[Counts]
    failed: Collection[str]
    ring_by_device: Mapping[str, int]
    state_by_device: Mapping[str, str]


class Rings:
    """Divides the fleet by the plans of releases."""

    def __init__(self, devices: DeviceStore, selector: DeviceSelector, facts: ReleaseFacts) -> None:
        self._devices = devices
        self._selector = selector
        self._facts = facts

    async def fleet(self, device_ids: Collection[str] | None = None) -> list[Device]:
        """Return the devices that get releases."""
        return await self._devices.find(states=ACTIVE, device_ids=device_ids)

    async def divide(self, rollout: Rollout, devices: Sequence[Device]) -> dict[str, int]:
        """Return the index of each device's ring, by device id."""
        if not rollout.plan.rings:
            return {one.device_id: 0 for one in devices}
        columns = [await self._picked_by(ring, devices) for ring in rollout.plan.rings]
        picked = zip(*columns, strict=True) if devices else ()
        return {
            one.device_id: ring_of(rollout.plan, rollout.number, one.device_id, chosen)
            for one, chosen in zip(devices, picked, strict=True)
        }

    async def standing(self, rollout: Rollout, devices: Sequence[Device]) -> Standing:
        """Return how a release stands; `devices` is the whole fleet."""
        rings = await self.divide(rollout, devices)
        # Who forbids releases is sent none.
        denying = {one.device_id: "refused" for one in devices if RELEASES in one.denied}
        states = denying | await self._facts.states(rollout.order_id)
        excused = set(rollout.excused)
        rest = {key: index for key, index in rings.items() if key not in excused}
        count = len(rollout.plan.names)
        return Standing(
            rings=_counts(rings, states, count),
            judged=_counts(rest, states, count),
            failed={key for key in rings if states.get(key) in FAILED},
            ring_by_device=rings,
            state_by_device=states,
        )

    async def check(self, plan: Plan) -> None:
        """Refuse a plan with selectors that pick no device now: a slip would skip the ring.

        Raises:
            InvalidInput: There is such a ring, or a term cannot be read.
        """
        devices = await self.fleet()
        terms = [one.selectors for one in plan.rings]
        picked = await self._selector.picked(devices, terms)
        for index, ring in enumerate(plan.rings):
            if ring.selectors and not any(chosen[index] for chosen in picked):
                raise InvalidInput(
                    "the ring's selectors pick no active device",
                    code="empty-ring",
                    subject=ring.name,
                    remedy="penguinctl device list with the same selectors shows what they pick",
                )

    async def _picked_by(self, ring: Ring, devices: Sequence[Device]) -> list[bool]:
        """Tell which devices a ring's selectors pick: none, where nobody can read them any more."""
        if ring.percent:
            return [False] * len(devices)
        try:
            picked = await self._selector.picked(devices, [ring.selectors])
        except InvalidInput:
            return [False] * len(devices)
        return [one for (one,) in picked]


def _counts(rings: Mapping[str, int], states: Mapping[str, str], count: int) -> list[Counts]:
    """Count devices by ring and by what became of the release there."""
    found = Counter((index, _kind(states.get(key, ""))) for key, index in rings.items())
    sizes = Counter(rings.values())
    return [
        Counts(
            devices=sizes[index],
            healthy=found[index, "healthy"],
            failed=found[index, "failed"],
            under_way=found[index, "under way"],
            refused=found[index, "refused"],
        )
        for index in range(count)
    ]


def _kind(state: str) -> str:
    if state in FAILED:
        return "failed"
    if state in _UNDER_WAY:
        return "under way"
    return {"succeeded": "healthy", "refused": "refused"}.get(state, "")
