"""Compare two states of a device, value by value.

1. Keys that end in `_at` are times of observation, not facts: they are ignored at every depth.
2. Objects are compared key by key; a key on one side only is an addition or a deletion.
3. Lists are equal if they have the same length and equal items position by position; a list that
   differs is one change, recorded whole.
4. Scalars are compared as they read; a value of another type is a change.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

_IGNORED_SUFFIX = "_at"


class ChangeType(StrEnum):
    """What happened to a value."""

    ADD = "add"
    CHANGE = "change"
    DELETE = "delete"


@dataclass(frozen=True, slots=True)
class Change:
    """One difference.

    Attributes:
        type: what happened.
        key: the dotted path.
        old: the former value without `_at` keys; None for an addition.
        new: the new value without `_at` keys; None for a deletion.
    """

    type: ChangeType
    key: str
    old: Any = None
    new: Any = None


def added(key: str, value: Any) -> Change:
    """Return the change that a new value is."""
    return Change(ChangeType.ADD, key, new=without_times(value))


def deleted(key: str, value: Any) -> Change:
    """Return the change that a vanished value is."""
    return Change(ChangeType.DELETE, key, old=without_times(value))


def compare(old: Any, new: Any, key: str) -> Iterator[Change]:
    """Yield what changed, in the order of the old keys, then of the new ones.

    Args:
        old: JSON value.
        new: JSON value.
        key: the dotted path of both.
    """
    if isinstance(old, dict) and isinstance(new, dict):
        yield from _compare_objects(old, new, key)
    elif not same(old, new):
        yield Change(ChangeType.CHANGE, key, without_times(old), without_times(new))


def _compare_objects(old: Mapping[str, Any], new: Mapping[str, Any], key: str) -> Iterator[Change]:
    for name, value in old.items():
        if name.endswith(_IGNORED_SUFFIX):
            continue
        if name in new:
            yield from compare(value, new[name], f"{key}.{name}")
        else:
            yield deleted(f"{key}.{name}", value)
    for name, value in new.items():
        if name not in old and not name.endswith(_IGNORED_SUFFIX):
            yield added(f"{key}.{name}", value)


def same(old: Any, new: Any) -> bool:
    """Return whether two values are equal by the rules above."""
    if isinstance(old, dict):
        return isinstance(new, dict) and _same_objects(old, new)
    if isinstance(old, list):
        return (
            isinstance(new, list)
            and len(old) == len(new)
            and all(same(left, right) for left, right in zip(old, new, strict=True))
        )
    # True == 1 and 1 == 1.0 in Python, but they do not read the same.
    return _scalar_kind(old) is _scalar_kind(new) and old == new


def _same_objects(old: Mapping[str, Any], new: Mapping[str, Any]) -> bool:
    names = {name for name in old if not name.endswith(_IGNORED_SUFFIX)}
    others = {name for name in new if not name.endswith(_IGNORED_SUFFIX)}
    return names == others and all(same(old[name], new[name]) for name in names)


def _scalar_kind(value: Any) -> type:
    for kind in (bool, int, float, str):
        # A database's integer type is a subclass of int.
        if isinstance(value, kind):
            return kind
    return type(value)


def without_times(value: Any) -> Any:
    """Return a value without `_at` keys at any depth."""
    if isinstance(value, dict):
        return {
            name: without_times(item)
            for name, item in value.items()
            if not name.endswith(_IGNORED_SUFFIX)
        }
    if isinstance(value, list):
        return [without_times(item) for item in value]
    return value
