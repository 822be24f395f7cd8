"""penguinctl issue snooze, unsnooze, suspend, unsuspend and audit."""

from __future__ import annotations

import json
import re
from datetime import UTC, datetime
from zoneinfo import ZoneInfo

import pytest

from tests.penguinctl import samples

HOSTILE = "\x1b[31mred\x1b[0m"


@pytest.fixture(autouse=True)
def _filled(simulator):
    samples.fill(simulator.state)


def asked(simulator):
    request = simulator.requests("AuditDevices")[-1]
    return {field.name for field, _ in request.ListFields()}


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
    operator("issue", "snooze", samples.ISSUE, "--days", "3", "--reason", HOSTILE)
    # A moment later there are not quite three days left.
    assert re.search("  snoozed [23] d  ", operator("issue", "list").out)
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
        (("--update-recent",), {"update_recent"}),
        (("--ignore-grace-period",), {"ignore_grace"}),
        (("--ignore-snoozed", "--ignore-suspended"), {"ignore_snoozed", "ignore_suspended"}),
        (("--ignore-filters", "--display-recent"), {"ignore_filters", "ignore_recent"}),
        (("--full",), {"ignore_grace", "ignore_snoozed", "ignore_filters", "ignore_recent"}),
        (("--update-recent", "--mail-users"), {"update_recent", "mail_users"}),
    ],
)
def test_an_audit_asks_for_what_its_options_say(simulator, operator, words, counted):
    assert operator("issue", "audit", *words).code == 0
    assert asked(simulator) == counted


def test_looking_keeps_nobody_from_being_told(simulator, operator):
    operator("issue", "audit", "-o", "json")
    assert asked(simulator) == set()
    operator.terminal("issue", "audit")
    assert asked(simulator) == {"ignore_recent"}
    operator.terminal("issue", "audit", "--update-recent", "--no-display-recent")
    assert asked(simulator) == {"update_recent"}


def wide_issues(simulator):
    """One issue of each kind of quiet, with long names, and a closed one."""
    later = samples.NOW_MS + (28 * 24 + 12) * samples.HOUR_MS
    words = ("", "grace", "snoozed", "suspended", "filtered", "recent")
    simulator.state.issues = [
        samples.issue(
            f"01HZY3J5Q0G7X8K9M2N4P6R8S{number}",
            quiet=word,
            hostname="laptop-of-somebody",
            name="operating-system-outdated",
            severity="critical",
            opened_unix_ms=samples.NOW_MS - 59 * 60_000,
            grace_until_unix_ms=later,
            snoozed_until_unix_ms=later,
        )
        for number, word in enumerate(words)
    ]


@pytest.mark.parametrize("words", [(), ("--closed",)])
def test_why_issues_are_quiet_fits_a_terminal_of_80_columns(simulator, operator, words):
    wide_issues(simulator)
    if words:
        simulator.state.issues.append(samples.issue(state="closed"))
    wide = operator("issue", "list", *words).out
    for word in ("grace 28 d", "snoozed 28 d", "suspended", "filtered", "recent"):
        assert f"  {word}  " in wide
    assert ("  closed  " in wide, "  open  " in wide) == ((True, True) if words else (False, False))
    lines = operator.terminal("issue", "list", *words, columns=80, NO_COLOR="1").out.splitlines()
    assert max(map(len, lines)) <= 80
    assert [line.split()[0] for line in lines].count("critical") == 6


def test_an_issue_tells_all_about_its_quiet(simulator, operator):
    simulator.state.issues = [
        samples.issue(
            quiet="snoozed",
            source="check",
            alerted_unix_ms=samples.NOW_MS - 2 * samples.HOUR_MS,
            snoozed_until_unix_ms=samples.NOW_MS + 9 * samples.HOUR_MS // 2,
            snoozed_by="bob",
            snooze_reason="part is ordered",
        )
    ]
    text = operator("issue", "show", samples.ISSUE).out
    said = dict(line.split(":", 1) for line in text.splitlines() if ":  " in line)
    assert said["Nobody is told now"].strip() == "snoozed"
    assert said["Snoozed by"].strip() == "bob"
    assert said["Because"].strip() == "part is ordered"
    assert said["Opened by"].strip() == "check"
    assert "(2 h ago)" in said["People were told"]
    assert "(in 4 h)" in said["Snoozed until"]
    assert "the check failed" in text


def test_the_list_of_devices_shows_who_is_suspended(operator):
    assert "suspended" not in operator("device", "list").out
    operator("issue", "suspend", "web-1")
    (line,) = [one for one in operator("device", "list").out.splitlines() if "suspended" in one]
    assert line.split()[:2] == ["web-1", "suspended"]
    shown = operator("device", "show", "web-1").out
    assert "until it reports" in shown
    assert "Suspended by:" in shown


@pytest.mark.parametrize("zone", ["UTC", "America/New_York", "Asia/Kolkata"])
def test_a_time_without_a_zone_is_local_and_shown_back(simulator, operator, zone):
    words = ("issue", "snooze", samples.ISSUE, "--until", "2030-07-02T09:00")
    assert "Snoozed until 2030-07-02 09:00: " in operator(*words, TZ=zone).out
    wanted = datetime(2030, 7, 2, 9, tzinfo=ZoneInfo(zone))
    assert until(simulator) == wanted.timestamp()
