"""Which indexes there have to be: what the stores would make, told without making them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from penguind.store.translation import database_errors

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Sequence

    from penguind.store.database import Database

Keys = tuple[tuple[str, Any], ...]


class Listener:
    """Stands in for a database; notes the indexes that are asked for, and does nothing."""

    def __init__(self) -> None:
        self.wanted: list[tuple[str, Keys]] = []

    @property
    def db(self) -> Listener:
        """Return what has collections."""
        return self

    def __getitem__(self, name: str) -> _Collection:
        """Return what stands in for a collection."""
        return _Collection(name, self)

    async def create_collection(self, _name: str) -> None:
        """Make nothing."""


class _Collection:
    def __init__(self, name: str, listener: Listener) -> None:
        self._name = name
        self.database = listener

    async def create_index(self, keys: str | Sequence[tuple[str, Any]], **_options: Any) -> None:
        pairs = ((keys, 1),) if isinstance(keys, str) else tuple((k, d) for k, d in keys)
        self.database.wanted.append((self._name, pairs))

    def __getattr__(self, _name: str) -> Callable[..., Awaitable[None]]:
        return _nothing


async def _nothing(*_arguments: Any, **_options: Any) -> None:
    """Do nothing instead of writing."""


async def missing_of(database: Database, wanted: Sequence[tuple[str, Keys]]) -> list[str]:
    """Return those indexes that a database has not, in words."""
    existing: set[tuple[str, Keys]] = set()
    with database_errors():
        for name in {name for name, _ in wanted}:
            for facts in (await database.db[name].index_information()).values():
                existing.add((name, tuple((key, way) for key, way in facts["key"])))
    return [
        f"{name} ({', '.join(key for key, _ in keys)})"
        for name, keys in dict.fromkeys(wanted)
        if (name, keys) not in existing
    ]
