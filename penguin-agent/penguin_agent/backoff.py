"""How long to wait before the next attempt: full jitter, so that a fleet does not march in step."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

_MAX_DOUBLINGS = 30


@dataclass(slots=True)
class Backoff:
    """Grows with each failure from `least_seconds` to `most_seconds`; a success resets it.

    `uniform` returns a random number between its two arguments.
    """

    uniform: Callable[[float, float], float]
    least_seconds: float = 1.0
    most_seconds: float = 300.0
    failures: int = 0

    def next_seconds(self) -> float:
        """Return the pause after one more failure."""
        self.failures = min(self.failures + 1, _MAX_DOUBLINGS)
        ceiling = min(self.most_seconds, self.least_seconds * 2.0**self.failures)
        return self.uniform(self.least_seconds, ceiling)

    def reset(self) -> None:
        """Forget the failures."""
        self.failures = 0
