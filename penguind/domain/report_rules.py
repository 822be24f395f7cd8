"""What a report does to the state that is held of its device.

1. A report whose id was seen lately changes nothing and is acknowledged again.
2. A delta builds on the state that is held (`base_hash`); otherwise a full report is asked for.
3. A full report replaces everything, except what it announces as `following`: held outputs of
   these names stay, outside the hash, until they come.
4. The state's hash after the report is computed here; another one in the report refuses it.
5. Every change of a value is recorded, except those of the very first submission.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum
from itertools import islice
from typing import TYPE_CHECKING, Any

from penguind.domain.diff import Change, ChangeType, added, compare, deleted, without_times
from penguind.domain.escaping import escape_value
from penguindome.errors import InvalidInput
from penguindome.reports import Output, Report, parse_json, state_hash

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from datetime import datetime

MOST_OUTPUTS = 256
# JSON bytes of a device's whole state: keeps its document well below MongoDB's 16 MB.
MOST_STATE_BYTES = 8 << 20
# Entries in the trail for one report, besides one for each plugin.
MOST_CHANGES = 2000
_KEY_PREFIX = "plugins"


@dataclass(frozen=True, slots=True)
class HeldOutput:
    """What is held of one output beside its value.

    Attributes:
        hash: of the output as the device sent it.
        size_bytes: of its JSON; 0 if it has no value.
    """

    name: str
    status: str
    reason: str
    local: bool
    hash: bytes
    collected_time: datetime
    cached_time: datetime | None
    size_bytes: int


@dataclass(frozen=True, slots=True)
class Held:
    """What is held of one device.

    Attributes:
        state_hash: empty before the first report.
        outputs: in the order of the database.
        plugins: stored values by name, at least those that the report at hand is about.
        recent_report_ids: the last ones, oldest first.
        following: names that a full report announced and that did not come yet.
        first: whether `following` belongs to the device's first submission.
    """

    state_hash: bytes
    outputs: tuple[HeldOutput, ...]
    plugins: Mapping[str, Any]
    recent_report_ids: tuple[str, ...]
    following: frozenset[str]
    first: bool


class Answer(Enum):
    """What to say without touching the state."""

    REPEATED = "repeated"
    NEEDS_FULL = "needs-full"


@dataclass(frozen=True, slots=True)
class Step:
    """What a report changes.

    Attributes:
        state_hash: the hash of the state afterwards.
        outputs: all outputs afterwards.
        rewritten: whether positions in `outputs` moved; otherwise only `touched` changed.
        touched: positions in `outputs` that are new or changed.
        set_plugins: stored values by name.
        unset_plugins: names without a value from now on.
        following: as in `Held`.
        first: as in `Held`.
        changes: for the trail.
    """

    state_hash: bytes
    outputs: tuple[HeldOutput, ...]
    rewritten: bool
    touched: tuple[int, ...]
    set_plugins: Mapping[str, Any]
    unset_plugins: tuple[str, ...]
    following: frozenset[str]
    first: bool
    changes: tuple[Change, ...]


def is_unchanged(report: Report) -> bool:
    """Return whether the report says that nothing changed since its base.

    Raises:
        InvalidInput: it says so, yet names another hash.
    """
    if report.full or report.outputs or report.removed or not report.base_hash:
        return False
    if report.state_hash != report.base_hash:
        raise _mismatch(report)
    return True


def decide(held: Held, report: Report) -> Step | Answer:
    """Return what the report does.

    Raises:
        InvalidInput: its hash is not that of the resulting state, or the state grows too large.
    """
    if report.report_id in held.recent_report_ids:
        return Answer.REPEATED
    if not report.full and report.base_hash != held.state_hash:
        return Answer.NEEDS_FULL
    return _apply(held, report)


def _apply(held: Held, report: Report) -> Step:
    gone = _gone(held, report)
    rewritten = bool(gone)
    outputs = [output for output in held.outputs if output.name not in gone]
    positions = {output.name: index for index, output in enumerate(outputs)}
    former = {output.name: output for output in held.outputs}
    touched: list[int] = []
    set_plugins: dict[str, Any] = {}
    for output in report.outputs:
        index = positions.setdefault(output.name, len(outputs))
        if index == len(outputs):
            outputs.append(_held(output))
        else:
            outputs[index] = _held(output)
        touched.append(index)
        known = former.get(output.name)
        if output.json and (known is None or known.hash != output.hash):
            set_plugins[output.name] = _value(output)
    following = _following(held, report)
    new_hash = state_hash({o.name: o.hash for o in outputs if o.name not in following})
    if new_hash != report.state_hash:
        raise _mismatch(report)
    _check_size(outputs)
    emptied = [o.name for o in report.outputs if not o.json]
    unset = tuple(name for name in (*gone, *emptied) if name in held.plugins)
    return Step(
        state_hash=new_hash,
        outputs=tuple(outputs),
        rewritten=rewritten,
        touched=tuple(touched),
        set_plugins=set_plugins,
        unset_plugins=unset,
        following=following,
        first=bool(following) and (held.first or not held.state_hash),
        changes=tuple(_changes(held, set_plugins, unset)),
    )


def _gone(held: Held, report: Report) -> frozenset[str]:
    """Return held names that the state no longer has."""
    names = {output.name for output in held.outputs}
    if not report.full:
        return frozenset(names.intersection(report.removed))
    kept = {output.name for output in report.outputs}.union(report.following)
    return frozenset(names - kept)


def _following(held: Held, report: Report) -> frozenset[str]:
    if report.full:
        return frozenset(report.following)
    if not held.following:
        return held.following
    came = {output.name for output in report.outputs}.union(report.removed)
    return held.following - came


def _changes(
    held: Held, set_plugins: Mapping[str, Any], unset: tuple[str, ...]
) -> Iterator[Change]:
    if not held.state_hash:
        return
    room = MOST_CHANGES
    for name, value in set_plugins.items():
        key = f"{_KEY_PREFIX}.{name}"
        if name in held.plugins:
            changes = _bounded_changes(held.plugins[name], value, key, room)
            room -= len(changes)
            yield from changes
        elif not (held.first and name in held.following):
            yield added(key, value)
    for name in unset:
        yield deleted(f"{_KEY_PREFIX}.{name}", held.plugins[name])


def _bounded_changes(old: Any, new: Any, key: str, room: int) -> list[Change]:
    """Return the changes of one plugin; too many are recorded as one.

    A device that prints other keys each time would otherwise fill the trail with a document for
    every few bytes that it sends.
    """
    changes = list(islice(compare(old, new, key), max(room, 1) + 1))
    if len(changes) <= max(room, 1):
        return changes
    return [Change(ChangeType.CHANGE, key, without_times(old), without_times(new))]


def _value(output: Output) -> Any:
    try:
        return escape_value(parse_json(output.json))
    except InvalidInput as error:
        raise InvalidInput(
            error.reason, code=error.code, subject=output.name, remedy=error.remedy
        ) from None


def _held(output: Output) -> HeldOutput:
    return HeldOutput(
        name=output.name,
        status=str(output.status),
        reason=output.reason,
        local=output.local,
        hash=output.hash,
        collected_time=output.collected_time,
        cached_time=output.cached_time,
        size_bytes=len(output.json),
    )


def _check_size(outputs: list[HeldOutput]) -> None:
    if len(outputs) > MOST_OUTPUTS:
        raise InvalidInput(
            f"the device's state has {len(outputs)} outputs, more than {MOST_OUTPUTS}",
            code="state-too-large",
            remedy="run fewer plugins",
        )
    size = sum(output.size_bytes for output in outputs)
    if size > MOST_STATE_BYTES:
        raise InvalidInput(
            f"the device's state has {size} bytes of JSON, more than {MOST_STATE_BYTES}",
            code="state-too-large",
            subject=max(outputs, key=lambda output: output.size_bytes).name,
            remedy="let the largest plugins print less",
        )


def _mismatch(report: Report) -> InvalidInput:
    return InvalidInput(
        "the report's hash is not the hash of the state that it makes",
        code="state-hash-mismatch",
        subject=report.report_id,
        remedy="send a full report",
    )
