"""When to leave an address of the server for a better one, without ever being left with none."""

from __future__ import annotations

from typing import TYPE_CHECKING

from penguin_agent.clock import boottime

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from penguindome.trust_document import ServerAddress

# A fleet shall not move in one second.
SOON_SECONDS = (5.0, 60.0)
# Where the better address does not answer, it is tried again this much later.
AGAIN_SECONDS = 3600.0
NEVER = float("inf")


class Moving:
    """Knows which addresses go away, and when to try another.

    Args:
        uniform: random.uniform, or a stand-in.
        now: seconds since boot.
    """

    def __init__(
        self, uniform: Callable[[float, float], float], now: Callable[[], float] = boottime
    ) -> None:
        self._uniform = uniform
        self._now = now
        self._leaving: set[ServerAddress] = set()
        self._move_at = NEVER
        self._not_before = 0.0

    def ordered(self, candidates: Sequence[ServerAddress]) -> list[ServerAddress]:
        """Return addresses in the order of trying: those that go away come last.

        The plan to move is carried out with it: where it fails, the next one is for later.
        """
        if self._move_at < NEVER:
            self._not_before = self._now() + AGAIN_SECONDS
        self._move_at = NEVER
        return sorted(candidates, key=lambda one: one in self._leaving)

    def stay(
        self, address: ServerAddress, candidates: Sequence[ServerAddress], *, deprecated: bool
    ) -> None:
        """Plan to leave where we are, if there is a better address; look again after any change.

        Args:
            address: where we are.
            candidates: where we might be.
            deprecated: whether the server says that this address goes away.
        """
        self._leaving.discard(address)
        if deprecated:
            self._leaving.add(address)
        better = address not in candidates or (
            deprecated and any(one not in self._leaving for one in candidates)
        )
        if not better:
            self._move_at = NEVER
        elif self._move_at == NEVER:
            self._move_at = max(self._now() + self._uniform(*SOON_SECONDS), self._not_before)

    def is_time(self) -> bool:
        """Tell whether to go now."""
        return self._move_at <= self._now()

    def seconds(self) -> float:
        """Return how long to stay; 0 when it is time to go."""
        return max(0.0, self._move_at - self._now())
