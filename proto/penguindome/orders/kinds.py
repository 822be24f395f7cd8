"""The kinds of orders: whose signatures they need, for how long and for whom they may be.

The kind is part of the signed bytes, so that it can be looked up before anything is parsed.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING

from penguindome.errors import Forbidden

if TYPE_CHECKING:
    from collections.abc import Mapping

# A command for more devices than this needs two signatures, whatever its role's threshold.
MANY_DEVICES = 500
_DAY = timedelta(days=1)


@dataclass(frozen=True, slots=True)
class Kind:
    """One kind of order.

    Attributes:
        name: As in the envelope.
        role: Whose signatures count, by the trust document.
        longest: How long one may be valid.
        threshold: How many signatures it takes; None means the role's own threshold.
        targets: `fleet` or `devices` (a list), or `device` (exactly one).
        sequenced: Whether its payload has a number that has to grow.
        urgent: Whether it overtakes what waits.
        allow: The device's own setting that forbids it; "" where nothing does.
        cancels: The kind that it cancels; "" for others.
    """

    name: str
    role: str
    longest: timedelta
    threshold: int | None = None
    targets: str = "devices"
    sequenced: bool = False
    urgent: bool = False
    allow: str = ""
    cancels: str = ""


def _cancel(name: str) -> Kind:
    # Who may order something may call it off alone: it only takes away.
    return Kind(f"cancel-{name}", name, 30 * _DAY, threshold=1, urgent=True, cancels=name)


_ALL = (
    Kind("release", "release", 120 * _DAY, targets="fleet", sequenced=True, allow="releases"),
    Kind("patch", "patch", 30 * _DAY, allow="patches"),
    Kind("command", "command", 30 * _DAY, allow="commands"),
    # It says what a wipe would do, and does nothing.
    Kind("wipe-plan", "wipe", 30 * _DAY, threshold=1, targets="device", urgent=True, allow="wipe"),
    Kind("wipe", "wipe", 30 * _DAY, targets="device", urgent=True, allow="wipe"),
    # It is for what an operator wants to do now.
    Kind("shell", "shell", timedelta(minutes=15), targets="device", urgent=True, allow="shell"),
    _cancel("command"),
    _cancel("patch"),
    _cancel("wipe"),
)

KINDS: Mapping[str, Kind] = {one.name: one for one in _ALL}


def kind_of(name: str) -> Kind:
    """Return a kind of order.

    Raises:
        Forbidden: `not-supported`: there is no such kind here.
    """
    try:
        return KINDS[name]
    except KeyError:
        raise Forbidden(
            f"the order is refused: its kind {name[:32]!r} is unknown here",
            code="not-supported",
            remedy="Update this program",
        ) from None


def signatures_needed(kind: Kind, role_threshold: int, devices: int) -> int:
    """Return how many operators have to sign.

    Args:
        kind: The order's.
        role_threshold: What the trust document asks for the kind's role.
        devices: How many devices the order names.
    """
    least = role_threshold if kind.threshold is None else kind.threshold
    many = kind.name == "command" and devices > MANY_DEVICES
    return max(least, 2) if many else least
