"""Judge thresholds of the trust document: which can be met, and which are recommended."""

from __future__ import annotations

from typing import TYPE_CHECKING

from penguindome.errors import PreconditionFailed

if TYPE_CHECKING:
    from collections.abc import Mapping

    from penguindome.trust_document import TrustDocument

# Two have to agree as soon as there are two: what these roles do cannot be undone, or runs
# everywhere and for long.
_WITH_TWO = frozenset({"release", "wipe", "secrets"})
# A root that needs all its keys is lost with any of them, so that two take a third.
_ROOT_WITH_TWO = 3


def too_low(document: TrustDocument) -> Mapping[str, int]:
    """Return what is recommended for each role whose threshold is lower."""
    wanted = {
        role: recommended_threshold(role, len(held.fingerprints))
        for role, held in document.roles.items()
    }
    return {role: n for role, n in wanted.items() if n > document.roles[role].threshold}


def recommended_threshold(role: str, operators: int) -> int:
    """Return how many signatures a role should need, by how many operators have it."""
    if role == "root":
        return 2 if operators >= _ROOT_WITH_TWO else 1
    return 2 if role in _WITH_TWO and operators > 1 else 1


def checked(draft: TrustDocument) -> TrustDocument:
    """Return the draft, if every role can reach its threshold.

    Raises:
        PreconditionFailed: A role has fewer keys than its threshold, or a threshold below 1.
    """
    short = sorted(
        role for role, held in draft.roles.items() if len(held.fingerprints) < held.threshold
    )
    if short or "root" not in draft.roles:
        names = ", ".join(short) or "root"
        raise PreconditionFailed(
            f"too few operators would be left for {names}",
            code="too-few-operators",
            remedy="Add another operator first, or lower the threshold in the same proposal",
        )
    low = sorted(role for role, held in draft.roles.items() if held.threshold < 1)
    if low:
        raise PreconditionFailed(
            f"the threshold of {', '.join(low)} would be less than 1",
            code="bad-threshold",
            remedy="Give a number from 1 to the number of the role's operators",
        )
    return draft


def weaknesses(document: TrustDocument) -> list[str]:
    """Return what one stolen or one lost root key would do, a sentence each; empty if little."""
    root = document.roles["root"]
    found: list[str] = []
    if root.threshold == 1:
        found.append("One stolen root key is enough: its thief has power over every device, alone.")
    if root.threshold == len(root.fingerprints):
        whose = "the only root key" if root.threshold == 1 else "any one root key"
        found.append(
            f"Whoever loses {whose} loses the fleet: nothing recovers from that but enrolling"
            " every device again."
        )
    return found
