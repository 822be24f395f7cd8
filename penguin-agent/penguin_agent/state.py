"""What a device's plugins said, and how one report changes it. Pure: no disk, no clock.

A report is kept as a change without hashes; the hashes of its chain are written when it is sent,
from the state that it then builds on. So reports can be merged, and a lost one heals by itself.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from penguindome.reports import (
    OUTPUT_LIMIT,
    REPORT_LIMIT_BYTES,
    Output,
    OutputStatus,
    Report,
    output_size,
    state_hash,
)

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Mapping, Sequence

REFUSED_REASON = "the server refuses this output"
TOO_LARGE_REASON = "left out, since all outputs together are larger than a report may be"
# A little less than what a report may hold, for names and for outputs that come and go.
STATE_LIMIT_BYTES = REPORT_LIMIT_BYTES * 7 // 8
STATE_LIMIT_OUTPUTS = OUTPUT_LIMIT - 16


@dataclass(frozen=True, slots=True)
class State:
    """All outputs by plugin name."""

    outputs: Mapping[str, Output] = field(default_factory=dict)

    def hash(self) -> bytes:
        """Return the hash that names this state."""
        return state_hash({name: output.hash for name, output in self.outputs.items()})

    def after(self, change: Report) -> State:
        """Return the state once a report was applied."""
        new = {} if change.full else dict(self.outputs)
        for name in change.removed:
            new.pop(name, None)
        new.update({output.name: output for output in change.outputs})
        return State(new)

    def changed(self, outputs: Iterable[Output]) -> tuple[Output, ...]:
        """Return those outputs that say something else than this state, or something new."""
        return tuple(output for output in outputs if not self.holds(output))

    def holds(self, output: Output) -> bool:
        """Whether this state says the same as an output, times aside."""
        known = self.outputs.get(output.name)
        return known is not None and known.hash == output.hash

    def refreshed(self, outputs: Iterable[Output]) -> State:
        """Return this state with the times of outputs that say the same."""
        return State({**self.outputs, **{o.name: o for o in outputs if self.holds(o)}})


def chained(change: Report, base: State) -> Report:
    """Return a report with the hashes it has when it builds on `base`, and nothing superfluous."""
    if change.full:
        return replace(change, base_hash=b"", state_hash=base.after(change).hash(), removed=())
    return replace(
        change,
        base_hash=base.hash(),
        state_hash=base.after(change).hash(),
        outputs=base.changed(change.outputs),
        # Also of names that `base` lacks: a full report may have announced them.
        removed=change.removed,
        following=(),
    )


def as_full(change: Report, base: State, *, report_id: str, coming: Collection[str]) -> Report:
    """Return the full report that takes the place of a change on `base`.

    Args:
        change: what the server could not apply.
        base: the state before it.
        report_id: a fresh id, since the content is another.
        coming: names of outputs that later reports bring.
    """
    after = base.after(change)
    return replace(
        change,
        report_id=report_id,
        full=True,
        base_hash=b"",
        state_hash=after.hash(),
        outputs=tuple(after.outputs[name] for name in sorted(after.outputs)),
        removed=(),
        following=tuple(sorted(name for name in coming if name not in after.outputs)),
    )


def merged(first: Report, second: Report, *, report_id: str) -> Report:
    """Return one change with the effect of two neighbours."""
    if second.full:
        return replace(second, report_id=report_id)
    named = {output.name for output in second.outputs}
    outputs = {o.name: o for o in first.outputs if o.name not in second.removed}
    outputs.update({o.name: o for o in second.outputs})
    removed = (set(first.removed) - named) | set(second.removed)
    return replace(
        second,
        report_id=report_id,
        full=first.full,
        outputs=tuple(outputs[name] for name in sorted(outputs)),
        removed=() if first.full else tuple(sorted(removed)),
        following=tuple(name for name in first.following if name not in named),
        request_id=second.request_id or first.request_id,
    )


def refused_output(output: Output) -> Output:
    """Return what stands for an output that the server named as the reason of a refusal."""
    return _left_out(output, REFUSED_REASON)


def fitted(outputs: Sequence[Output], state: State) -> tuple[Output, ...]:
    """Return outputs that fit into a report together with the state that they change.

    The largest are replaced by an error that says so; names beyond the limit are dropped.
    """
    names = list(dict.fromkeys([*state.outputs, *(output.name for output in outputs)]))
    allowed = set(names[:STATE_LIMIT_OUTPUTS])
    fitting = {output.name: output for output in outputs if output.name in allowed}
    total = sum(output_size(o) for o in {**state.outputs, **fitting}.values())
    for output in sorted(fitting.values(), key=output_size, reverse=True):
        if total <= STATE_LIMIT_BYTES:
            break
        fitting[output.name] = _left_out(output, TOO_LARGE_REASON)
        total += output_size(fitting[output.name]) - output_size(output)
    return tuple(fitting.values())


def _left_out(output: Output, reason: str) -> Output:
    return replace(output, status=OutputStatus.ERROR, json=b"", reason=reason, cached_time=None)
