"""Whatever a device does, the server ends with its state, and the trail tells how it came there."""

from __future__ import annotations

import copy

from hypothesis import given, settings
from hypothesis import strategies as st

from penguind.domain.diff import same
from penguind.domain.report_rules import Answer, Held, decide
from penguindome.reports import split_report
from tests.harness.reporter import Reporter

NAMES = ["a", "b", "c", "d"]
LEAVES = st.none() | st.booleans() | st.integers(-2, 2) | st.text("xy", max_size=2)
VALUES = st.recursive(
    LEAVES,
    lambda inner: (
        st.lists(inner, max_size=2)
        | st.dictionaries(st.sampled_from(["k", "l", "m"]), inner, max_size=3)
    ),
    max_leaves=6,
)
STATES = st.dictionaries(st.sampled_from(NAMES), VALUES, max_size=4)
# What happens to a part on its way: it arrives, arrives twice, or the server is restored.
FATES = st.sampled_from(["once", "once", "twice"])


class Model:
    """A server's memory of one device, and the states that its trail leads through."""

    def __init__(self):
        self.held = Held(b"", (), {}, (), frozenset(), first=False)
        self.replayed = {}

    def submit(self, report):
        before = self.held
        step = decide(before, report)
        if isinstance(step, Answer):
            return step
        plugins = {**before.plugins, **step.set_plugins}
        for name in step.unset_plugins:
            del plugins[name]
        recent = (*before.recent_report_ids, report.report_id)[-64:]
        self.held = Held(step.state_hash, step.outputs, plugins, recent, step.following, step.first)
        for change in step.changes:
            replay(self.replayed, change)
        if not before.state_hash or before.first:
            self.replayed = copy.deepcopy(plugins)
        return None


def replay(plugins, change):
    *path, last = change.key.removeprefix("plugins.").split(".")
    place = plugins
    for part in path:
        place = place[part]
    if change.type == "delete":
        assert same(place.pop(last), change.old)
        return
    assert change.type == "change" or last not in place
    place[last] = copy.deepcopy(change.new)


@settings(max_examples=150, deadline=None)
@given(
    st.lists(
        st.tuples(STATES, st.booleans(), st.integers(1, 400), st.lists(FATES, max_size=6)),
        max_size=6,
    )
)
def test_server_follows_the_device(turns):
    device, model = Reporter("d-1"), Model()
    for values, full, part_bytes, fates in turns:
        base = {name: one.hash for name, one in device.outputs.items()}
        changed, removed = change_state(device, values)
        if full or not device.base_hash:
            report = device.full()
        else:
            report = device.delta(*changed, removed=removed)
        for number, part in enumerate(split_report(report, part_bytes, base=base)):
            assert model.submit(part) is None
            if fates[number : number + 1] == ["twice"]:
                assert model.submit(part) is Answer.REPEATED
        assert model.held.state_hash == device.hash
        assert not model.held.following
        assert model.held.plugins == values
        assert same(model.replayed, values)


def change_state(device, values):
    """Give the device a new state; return what is new, and the names that are gone."""
    removed = tuple(name for name in device.outputs if name not in values)
    for name in removed:
        del device.outputs[name]
    before = dict(device.outputs)
    changed = device.set(**values)
    return [one for one in changed if before.get(one.name) != one], removed


@given(STATES, STATES)
def test_restored_server_asks_for_everything(old, new):
    device, model = Reporter("d-1"), Model()
    change_state(device, old)
    model.submit(device.full())
    backup = copy.deepcopy(model)
    changed, removed = change_state(device, {**new, "z": 1})
    model.submit(device.delta(*changed, removed=removed))
    model = backup
    changed, _ = change_state(device, {**new, "z": 2})
    assert model.submit(device.delta(*changed)) is Answer.NEEDS_FULL
    assert model.submit(device.full()) is None
    assert model.held.plugins == {**new, "z": 2}
