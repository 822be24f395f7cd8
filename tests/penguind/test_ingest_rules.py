from __future__ import annotations

from dataclasses import replace

import pytest

from penguind.domain.report_rules import Answer, Held, Step, decide, is_unchanged
from penguindome.errors import InvalidInput
from penguindome.reports import OutputStatus
from tests.harness.reporter import Reporter, output

EMPTY = Held(b"", (), {}, (), frozenset(), first=False)


def after(held, report):
    """Return what is held once a report is stored, and its trail."""
    step = decide(held, report)
    assert isinstance(step, Step)
    plugins = {**held.plugins, **step.set_plugins}
    for name in step.unset_plugins:
        del plugins[name]
    recent = (*held.recent_report_ids, report.report_id)
    new = Held(step.state_hash, step.outputs, plugins, recent, step.following, step.first)
    return new, [(str(change.type), change.key) for change in step.changes]


@pytest.fixture
def device():
    device = Reporter("d-1")
    device.set(ssh={"port": 22}, os={"name": "Debian", "a.b": {"$x": 1}})
    return device


def test_first_submission_leaves_no_trail(device):
    held, trail = after(EMPTY, device.full())
    assert trail == []
    assert held.plugins == {"ssh": {"port": 22}, "os": {"name": "Debian", "a%2Eb": {"%24x": 1}}}
    assert held.state_hash == device.hash


def test_delta_changes_what_it_names(device):
    held, _ = after(EMPTY, device.full())
    held, trail = after(held, device.delta(*device.set(ssh={"port": 23}, new=[1])))
    assert trail == [("change", "plugins.ssh.port"), ("add", "plugins.new")]
    assert set(held.plugins) == {"ssh", "os", "new"}


def test_removed_plugin_is_a_deletion(device):
    held, _ = after(EMPTY, device.full())
    held, trail = after(held, device.delta(removed=("ssh",)))
    assert trail == [("delete", "plugins.ssh")]
    assert [one.name for one in held.outputs] == ["os"]


def test_repeated_report_is_acknowledged_without_effect(device):
    report = device.full()
    held, _ = after(EMPTY, report)
    assert decide(held, report) is Answer.REPEATED


def test_unknown_base_asks_for_a_full_report(device):
    held, _ = after(EMPTY, device.full())
    assert decide(held, device.delta(base_hash=b"x" * 32)) is Answer.NEEDS_FULL
    assert decide(EMPTY, device.delta()) is Answer.NEEDS_FULL


def test_wrong_hash_is_refused(device):
    held, _ = after(EMPTY, device.full())
    wrong = device.delta(*device.set(ssh={}), state_hash=b"x" * 32, base_hash=held.state_hash)
    with pytest.raises(InvalidInput, match="hash"):
        decide(held, wrong)


def test_failed_plugin_has_no_value_and_its_return_is_seen(device):
    held, _ = after(EMPTY, device.full())
    failed = output("ssh", status=OutputStatus.ERROR, reason="exit 1")
    held, trail = after(held, device.delta(*device.put(failed)))
    assert trail == [("delete", "plugins.ssh")]
    assert "ssh" not in held.plugins
    held, trail = after(held, device.delta(*device.set(ssh={"port": 22})))
    assert trail == [("add", "plugins.ssh")]


def test_unknown_with_json_has_a_value(device):
    held, _ = after(EMPTY, device.full())
    unsure = output("ssh", {"why": "no sshd"}, status=OutputStatus.UNKNOWN)
    held, _ = after(held, device.delta(*device.put(unsure)))
    assert held.plugins["ssh"] == {"why": "no sshd"}


def test_full_report_replaces_and_is_compared(device):
    held, _ = after(EMPTY, device.full())
    device.outputs.pop("os")
    device.set(ssh={"port": 24})
    held, trail = after(held, device.full())
    assert trail == [("change", "plugins.ssh.port"), ("delete", "plugins.os")]


def split_full(device, later):
    """Return a full report that announces `later`, and the deltas that bring it."""
    whole = dict(device.outputs)
    held_back = [whole[name] for name in later]
    device.outputs = {name: one for name, one in whole.items() if name not in later}
    reports = [device.full(following=tuple(later))]
    return reports + [device.delta(*device.put(one)) for one in held_back]


def test_following_outputs_stay_until_they_come(device):
    held, _ = after(EMPTY, device.full())
    device.set(ssh={"port": 25}, big={"n": 1})
    first, second, third = split_full(device, ["ssh", "big"])
    held, trail = after(held, first)
    assert trail == []
    assert held.plugins["ssh"] == {"port": 22}
    assert held.following == {"ssh", "big"}
    held, trail = after(held, second)
    assert trail == [("change", "plugins.ssh.port")]
    held, trail = after(held, third)
    assert trail == [("add", "plugins.big")]
    assert not held.following
    assert held.state_hash == device.hash


def test_first_submission_in_parts_leaves_no_trail(device):
    device.set(big={"n": 1})
    held, trails = EMPTY, []
    for report in split_full(device, ["big", "os"]):
        held, trail = after(held, report)
        trails += trail
    assert trails == []
    assert not held.first
    _, trail = after(held, device.delta(*device.set(later=1)))
    assert trail == [("add", "plugins.later")]


def test_state_has_bounds(device):
    device.put(*(output(f"p{number}", "x" * 250_000) for number in range(40)))
    device.put(output("greedy", "x" * 260_000))
    with pytest.raises(InvalidInput, match="bytes of JSON") as caught:
        decide(EMPTY, device.full())
    assert caught.value.subject == "greedy"
    device.outputs = {f"p{n}": output(f"p{n}", n) for n in range(257)}
    with pytest.raises(InvalidInput, match="257 outputs"):
        decide(EMPTY, device.full())


def test_refused_json_names_the_plugin(device):
    bad = replace(output("evil", 1), json=b'{"a":NaN}')
    device.put(bad)
    with pytest.raises(InvalidInput) as caught:
        decide(EMPTY, device.full())
    assert caught.value.subject == "evil"


def test_unchanged_is_told_from_a_lie(device):
    device.full()
    assert is_unchanged(device.delta())
    assert not is_unchanged(device.full())
    with pytest.raises(InvalidInput):
        is_unchanged(device.delta(state_hash=b"x" * 32))


def test_many_changes_of_a_plugin_are_recorded_as_one(device):
    device.set(churn={f"old{n}": n for n in range(1500)}, os={"name": "Debian"})
    held, _ = after(EMPTY, device.full())
    changed = device.set(churn={f"new{n}": n for n in range(1500)}, os={"name": "Arch"})
    _, trail = after(held, device.delta(*changed))
    assert trail == [("change", "plugins.churn"), ("change", "plugins.os.name")]
