"""How a release reaches the fleet, ring after ring.

1. A device is in the first ring that picks it, by a selector or by its share: a stable hash of the
   release's number and the device's id, so that each release meets other devices first. Who is in
   no ring is in the rest, the last ring of each plan.
2. A ring is good while enough of the devices that answered are well, at least as many answered as
   are under way, and somebody is well. A ring without devices is good.
3. A ring is bad once at least one device failed and those that failed are more than the plan allows
   of each hundred that answered: a single device that answers and failed is enough. One bad ring
   halts the release at once.
4. The next ring opens when an operator says so, or by itself in an automatic plan, once the newest
   open ring was good for the soak without a break.
5. A release is complete once all rings are open and each device answered or refuses it. A release
   that is complete may still be halted, and reaches devices that are enrolled later.
6. Devices that had failed when an operator resumed a halted release count no more.
7. A published release takes the place of all older ones that are not complete; once it is complete,
   of those, too.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Literal

from penguind.domain.rollout_plan import WHOLE, Plan
from penguindome.errors import InvalidInput, PreconditionFailed

if TYPE_CHECKING:
    from collections.abc import Collection, Sequence
    from datetime import datetime

State = Literal["waiting", "rolling", "halted", "complete", "superseded", "withdrawn"]
#: States in which devices get a release.
OFFERED: tuple[State, ...] = ("rolling", "complete")
#: States that nothing ends but a withdrawal or a newer release.
STANDING: tuple[State, ...] = ("waiting", "rolling", "halted", "complete")
ACTIONS = ("advance", "halt", "resume", "withdraw")


@dataclass(frozen=True, slots=True)
class Counts:
    """How the devices of one ring fare; the rest of `devices` has not been reached."""

    devices: int = 0
    healthy: int = 0
    failed: int = 0
    under_way: int = 0
    refused: int = 0

    @property
    def answered(self) -> int:
        """Return how many took the release, for better or worse."""
        return self.healthy + self.failed

    @property
    def ended(self) -> bool:
        """Tell whether nothing is to be expected of any device."""
        return self.answered + self.refused >= self.devices

    def bad(self, healthy_percent: int) -> bool:
        """Tell whether the release has to be halted for it."""
        allowed = (WHOLE - healthy_percent) * self.answered
        return self.failed > 0 and self.failed * WHOLE > allowed

    def good(self, healthy_percent: int) -> bool:
        """Tell whether the next ring may follow."""
        if not self.devices - self.refused:
            return True
        if self.bad(healthy_percent) or self.answered < self.under_way:
            return False
        return self.healthy > 0


@dataclass(frozen=True, slots=True)
class Rollout:
    """One release and how far it got.

    Attributes:
        number: The release's.
        order_id: The order that carries it.
        label: A word for people.
        state: One of State.
        submitted_time: When it was handed in.
        expires_time: After which no device takes it.
        plan: How it goes.
        reason: Why it was halted or withdrawn.
        open_rings: How many of the plan's steps are open; 0 while it waits for signatures.
        opened_times: When each open ring was opened, in the plan's order.
        good_since: Since when the newest open ring is good.
        excused: Devices whose failure an operator has seen.
        revision: Grows with each change that is stored.
    """

    number: int
    order_id: str
    label: str
    state: State
    submitted_time: datetime
    expires_time: datetime
    plan: Plan = field(default_factory=Plan)
    reason: str = ""
    open_rings: int = 0
    opened_times: tuple[datetime, ...] = ()
    good_since: datetime | None = None
    excused: tuple[str, ...] = ()
    revision: int = 0

    @property
    def all_open(self) -> bool:
        """Tell whether every device may get it."""
        return self.open_rings >= len(self.plan.names)

    def soaked(self, now: datetime) -> bool:
        """Tell whether the next ring opens by itself now, as far as was seen."""
        since = self.good_since
        opens = self.state == "rolling" and self.plan.automatic and not self.all_open
        return opens and since is not None and now - since >= self.plan.soak

    def offered(self, now: datetime) -> bool:
        """Tell whether devices get it."""
        return self.state in OFFERED and now < self.expires_time

    def published(self, now: datetime) -> Rollout:
        """Return it with its first ring open, once enough operators signed."""
        return replace(self, state="rolling", open_rings=1, opened_times=(now,))

    def superseded(self, number: int) -> Rollout:
        """Return it with a newer release in its place."""
        return replace(self, state="superseded", reason=f"release {number} took its place")

    def advanced(self, now: datetime) -> Rollout:
        """Return it with the next ring open.

        Raises:
            PreconditionFailed: It is not under way, or all rings are open.
        """
        if self.state != "rolling":
            raise self._refused("no ring opens", "resume it first, if it is halted")
        if self.all_open:
            raise self._refused("every ring is open already")
        return replace(
            self,
            open_rings=self.open_rings + 1,
            opened_times=(*self.opened_times, now),
            good_since=None,
        )

    def halted(self, reason: str) -> Rollout:
        """Return it given to nobody for the time being.

        Raises:
            PreconditionFailed: It is not under way.
        """
        if self.state not in OFFERED:
            raise self._refused("there is nothing to halt")
        return replace(self, state="halted", reason=reason, good_since=None)

    def resumed(self, excused: Collection[str]) -> Rollout:
        """Return it under way again; failures so far count no more.

        Raises:
            PreconditionFailed: It is not halted.
        """
        if self.state != "halted":
            raise self._refused("there is nothing to resume")
        return replace(
            self, state="rolling", reason="", excused=tuple(sorted({*self.excused, *excused}))
        )

    def withdrawn(self, reason: str) -> Rollout:
        """Return it given to nobody any more.

        Raises:
            PreconditionFailed: It was withdrawn before.
        """
        if self.state == "withdrawn":
            raise self._refused("it cannot be withdrawn again")
        return replace(self, state="withdrawn", reason=reason, good_since=None)

    def judged(self, rings: Sequence[Counts], now: datetime) -> Rollout:
        """Return what becomes of it by how its rings fare; `rings` without excused devices."""
        if self.state not in OFFERED:
            return self
        healthy = self.plan.healthy_percent
        names = self.plan.names[: self.open_rings]
        for name, counts in zip(names, rings, strict=False):
            if counts.bad(healthy):
                return self.halted(
                    f"{counts.failed} of {counts.answered} devices in ring {name} did not stand it"
                )
        if self.all_open and all(one.ended for one in rings):
            return replace(self, state="complete")
        newest = rings[self.open_rings - 1]
        since = (self.good_since or now) if newest.good(healthy) else None
        kept = replace(self, good_since=since)
        return kept.advanced(now) if kept.soaked(now) else kept

    def _refused(self, reason: str, remedy: str = "") -> PreconditionFailed:
        return PreconditionFailed(
            f"release {self.number} is {self.state}: {reason}",
            code="rollout-state",
            subject=f"release {self.number}",
            remedy=remedy,
        )


def changed(
    rollout: Rollout, action: str, *, reason: str, excused: Collection[str], now: datetime
) -> Rollout:
    """Return what an operator's action makes of a release.

    Raises:
        InvalidInput: There is no such action.
        PreconditionFailed: It does not fit the release's state.
    """
    if action == "advance":
        return rollout.advanced(now)
    if action == "halt":
        return rollout.halted(reason)
    if action == "resume":
        return rollout.resumed(excused)
    if action == "withdraw":
        return rollout.withdrawn(reason)
    raise InvalidInput(
        "there is no such action",
        code="bad-action",
        subject=action[:40],
        remedy=f"use one of {', '.join(ACTIONS)}",
    )
