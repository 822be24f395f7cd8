"""penguinctl issue snooze, unsnooze, suspend, unsuspend and audit."""

from __future__ import annotations

import json
from datetime import UTC, datetime

import pytest

from tests.penguinctl import samples

HOSTILE = "\x1b[31mred\x1b[0m"


@pytest.fixture(autouse=True)
def _filled(simulator):
    samples.fill(simulator.state)


def until(simulator):
    return simulator.requests("SnoozeIssues")[-1].until_unix_ms / 1000


def hours_ahead(simulator):
    return round((until(simulator) - datetime.now(UTC).timestamp()) / 3600, 1)


@pytest.mark.parametrize(
    ("words", "hours"), [((), 24), (("--hours", "2"), 2), (("--days", "3"), 72)]
)
def test_a_snooze_ends_after_the_span_that_was_asked_for(simulator, operator, words, hours):
    result = operator("issue", "snooze", samples.ISSUE, *words, "--reason", "part is ordered")
    assert (result.code, hours_ahead(simulator)) == (0, hours)
    assert "Snoozed until" in result.out
    assert "firewall-disabled of web-1" in result.out
    assert simulator.requests("SnoozeIssues")[-1].reason == "part is ordered"


def test_a_snooze_ends_at_the_time_that_was_asked_for(simulator, operator):
    assert operator("issue", "snooze", "web-1", "--until", "2030-01-02T03:04+01:00").code == 0
    assert until(simulator) == datetime(2030, 1, 2, 2, 4, tzinfo=UTC).timestamp()


def test_what_makes_no_sense_is_refused(simulator, operator):
    assert operator("issue", "snooze").code == 2
    assert operator("issue", "snooze", "--all", "--hours", "1", "--days", "1").code == 2
    result = operator("issue", "snooze", "--all", "--until", "tomorrow")
    assert (result.code, "no ISO date or time" in result.err) == (2, True)
    result = operator("issue", "snooze", "web-1", "--name", "nothing")
    assert (result.code, result.out) == (3, "No matching issues.\n")
    assert not simulator.requests("SnoozeIssues")


def test_a_snooze_is_shown_and_ended(operator):
    operator("issue", "snooze", samples.ISSUE, "--reason", HOSTILE)
    assert "snoozed in" in operator("issue", "list").out
    shown = operator("issue", "show", samples.ISSUE).out
    assert "Snoozed by:" in shown
    assert "\x1b" not in shown
    value = json.loads(operator("issue", "list", "-o", "json").out)["issues"][0]
    assert (value["quiet"], value["snoozed_by"]) == ("snoozed", "alice")
    result = operator("issue", "unsnooze", "--all", "--reason", "came", "-o", "json")
    assert json.loads(result.out)["unsnoozed"][0]["snoozed_until_time"] is None
    result = operator("issue", "unsnooze", samples.ISSUE)
    assert (result.code, result.out) == (3, "No matching issues.\n")


def test_more_issues_are_snoozed_than_the_server_takes_at_once(simulator, operator):
    samples.fill(simulator.state)
    ids = [f"01HZY3J5Q0G7X8K9M2N4{number:06}" for number in range(1200)]
    simulator.state.issues = [samples.issue(one) for one in ids]
    result = operator("issue", "snooze", "--all", "-o", "json")
    assert [item["issue_id"] for item in json.loads(result.out)["snoozed"]] == ids


def test_devices_are_suspended_once(operator):
    result = operator("issue", "suspend", "web-1", "--reason", "on holiday")
    assert (result.code, "Suspended: web-1" in result.out) == (0, True)
    assert "Unchanged, suspended already: web-1" in operator("issue", "suspend", "web-1").out
    shown = operator("device", "show", "web-1").out
    assert "on holiday" in shown
    value = json.loads(operator("issue", "unsuspend", "web-1", "-o", "json").out)
    assert [one["changed"] for one in value["devices"]] == [True]
    assert "Unchanged, not suspended: web-1" in operator("issue", "unsuspend", "web-1").out
    assert operator("issue", "suspend", "nobody").code == 3


def test_an_audit_shows_what_stands_by_host(simulator, operator):
    simulator.state.held_back = {"grace": 2, "snoozed": 1}
    result = operator("issue", "audit")
    lines = result.out.splitlines()
    at = next(number for number, line in enumerate(lines) if line.startswith("web-1 ["))
    assert "last reported at" in lines[at]
    assert "firewall-disabled since" in lines[at + 1]
    assert "Held back: 2 in their grace period, 1 snoozed." in lines
    value = json.loads(operator("issue", "audit", "-o", "json").out)
    assert value["held_back"] == {"grace": 2, "snoozed": 1}
    assert value["standing"][0]["name"] == "firewall-disabled"


@pytest.mark.parametrize(
    ("words", "counted"),
    [
        ((), set()),
        (("--ignore-grace-period",), {"ignore_grace"}),
        (("--ignore-snoozed", "--ignore-suspended"), {"ignore_snoozed", "ignore_suspended"}),
        (("--ignore-filters", "--display-recent"), {"ignore_filters", "ignore_recent"}),
        (("--full",), {"ignore_grace", "ignore_snoozed", "ignore_filters", "ignore_recent"}),
        (("--update-recent", "--mail-users"), {"update_recent", "mail_users"}),
    ],
)
def test_an_audit_asks_for_what_its_options_say(simulator, operator, words, counted):
    assert operator("issue", "audit", *words).code == 0
    request = simulator.requests("AuditDevices")[-1]
    assert {field.name for field, _ in request.ListFields()} == counted
