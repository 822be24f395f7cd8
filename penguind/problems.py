"""What is not well with the server, as sentences by the part that says them."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable


class Problems:
    """Asks every part that was added; empty when all is well."""

    def __init__(self) -> None:
        self._sources: list[Callable[[], Iterable[str]]] = []

    def add(self, source: Callable[[], Iterable[str]]) -> None:
        """Ask `source` too from now on."""
        self._sources.append(source)

    def all(self) -> list[str]:
        """Return every sentence, in the order of the parts."""
        return [sentence for source in self._sources for sentence in source()]
