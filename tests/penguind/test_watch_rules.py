"""What the server finds by itself: versions, ends, clocks, names."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from penguind.domain.facts import DeviceFacts
from penguind.domain.version import far_behind, parse_version
from penguind.watch.devices import (
    outdated_agents,
    same_names,
    unrenewed_certificates,
    wrong_clocks,
)
from penguind.watch.expiry import Expiring, expiry_finding

NOW = datetime(2026, 11, 25, 12, tzinfo=UTC)
LIFETIME = timedelta(days=14)
DEVICE = DeviceFacts(
    device_id="d-a",
    hostname="web-1",
    state="active",
    agent_version="1.4.0",
    clock_skew_ms=0,
    last_seen_time=NOW,
    certificate_expires_time=NOW + LIFETIME,
)


@pytest.mark.parametrize(
    ("older", "newer"),
    [
        ("0.9", "0.10"),
        ("1.2", "1.2.1"),
        ("1.2.0rc1", "1.2"),
        ("1.2.0~rc1-1", "1.2.0-1"),
        ("1.2rc2", "1.2rc10"),
        ("1.2.dev3", "1.2a1"),
        ("1.2b1", "1.2rc1"),
        ("9.9.9", "10"),
    ],
)
def test_versions_are_compared_as_numbers(older, newer):
    assert parse_version(older) < parse_version(newer)


@pytest.mark.parametrize(
    ("one", "other"),
    [("1.2", "1.2.0"), ("v1.2", "1.2-1"), ("1.2+deb12", "1.2"), ("1.2C1", "1.2rc1")],
)
def test_versions_that_are_packaged_otherwise_are_the_same(one, other):
    assert parse_version(one) == parse_version(other)


@pytest.mark.parametrize("text", ["", "new", "1..2", "1.2;rm", "١.٢", "1.2\x1b[31m", "1" * 9])
def test_what_is_no_version_is_none(text):
    assert parse_version(text) is None


@given(text=st.text(max_size=40))
def test_any_text_is_a_version_or_none(text):
    version = parse_version(text)
    assert version is None or version == parse_version(text.lower())


@given(
    one=st.lists(st.integers(0, 999), min_size=1, max_size=5),
    other=st.lists(st.integers(0, 999), min_size=1, max_size=5),
)
def test_numbers_are_compared_one_by_one(one, other):
    def padded(numbers):
        return [*numbers, 0, 0, 0, 0][:5]

    first, second = (parse_version(".".join(map(str, numbers))) for numbers in (one, other))
    assert (first < second) == (padded(one) < padded(other))
    assert (first == second) == (padded(one) == padded(other))


@pytest.mark.parametrize(
    ("agent", "server", "behind"),
    [
        ("1.4", "1.4", False),
        ("1.3", "1.4.9", False),
        ("1.2.9", "1.4", True),
        ("0.9", "1.0", True),
        ("2.0", "1.9", False),
        ("1.9", "1.4", False),
    ],
)
def test_two_minor_versions_are_far_behind(agent, server, behind):
    assert far_behind(parse_version(agent), parse_version(server)) is behind


@pytest.mark.parametrize(
    ("agent", "minimum", "found"),
    [
        ("1.4.0", "", False),
        ("1.2.0", "", True),
        ("1.3.0", "1.3", False),
        ("1.3.0rc1", "1.3", True),
        ("odd", "", False),
        ("odd", "1.0", True),
        ("", "1.0", False),
    ],
)
def test_agents_below_the_minimum_or_far_behind_are_outdated(agent, minimum, found):
    findings = outdated_agents(
        [replace(DEVICE, agent_version=agent)], server_version="1.4.2", minimum_version=minimum
    )
    assert [one.evidence["device.agent_version"] for one in findings] == [agent] * found


@pytest.mark.parametrize(
    ("skew_ms", "says_wrong", "reason"),
    [
        (119_000, False, None),
        (120_000, False, None),
        (121_000, False, "its clock was 2 minutes ahead"),
        (-7_200_000, False, "its clock was 2 hours behind"),
        (86_400_000 * 40, True, "its clock was 40 days ahead"),
        (0, True, "its agent finds the clock wrong"),
    ],
)
def test_a_clock_may_be_two_minutes_off(skew_ms, says_wrong, reason):
    device = replace(DEVICE, clock_skew_ms=skew_ms, says_clock_wrong=says_wrong)
    found = [one.reason for one in wrong_clocks([device], timedelta(minutes=2))]
    assert found == ([] if reason is None else [reason])


def test_devices_of_one_name_are_told_of_each_other():
    devices = [
        replace(DEVICE, device_id="d-a", hostname="twin"),
        replace(DEVICE, device_id="d-b", hostname="Twin"),
        replace(DEVICE, device_id="d-c", hostname="twin", state="blocked"),
        replace(DEVICE, device_id="d-d", hostname="other"),
        replace(DEVICE, device_id="d-e", hostname=""),
        replace(DEVICE, device_id="d-f", hostname=""),
    ]
    found = {one.device_id: one.evidence["others"] for one in same_names(devices)}
    assert found == {"d-a": ["d-b"], "d-b": ["d-a"]}


@pytest.mark.parametrize(
    ("left_days", "seen_days_ago", "severity"),
    [
        # 14 days of life: 4 days and 16 hours are a third.
        (5, 0, None),
        (4.5, 0, "medium"),
        (2, 0, "high"),
        (0.5, 0, "high"),
        (-1, 0, "high"),
        # It slept since before it had to renew.
        (2, 3, None),
        (-30, 40, None),
    ],
)
def test_a_device_that_is_there_has_to_renew_its_certificate(left_days, seen_days_ago, severity):
    device = replace(
        DEVICE,
        certificate_expires_time=NOW + timedelta(days=left_days),
        last_seen_time=NOW - timedelta(days=seen_days_ago),
    )
    found = [one.severity for one in unrenewed_certificates([device], LIFETIME, NOW)]
    assert found == ([] if severity is None else [severity])


@pytest.mark.parametrize(
    ("left_days", "severity", "words"),
    [
        (30, None, ""),
        (29, "medium", "The certificate ends on 2026-12-24"),
        (14, "high", "The certificate ends soon, on 2026-12-09"),
        (7, "critical", "The certificate is about to end, on 2026-12-02"),
        (0, "critical", "The certificate ended on 2026-11-25"),
    ],
)
def test_severity_and_words_rise_as_time_runs_out(left_days, severity, words):
    end = NOW + timedelta(days=left_days)
    one = Expiring("server:x", "server-port-1", "The certificate", end, timedelta(days=30))
    found = expiry_finding(one, NOW)
    if severity is None:
        assert found is None
    else:
        assert (found.severity, found.summary) == (severity, words)


def test_evidence_stays_the_same_within_a_step():
    one = Expiring("server:x", "x", "It", NOW + timedelta(days=29), timedelta(days=30))
    first, later = expiry_finding(one, NOW), expiry_finding(one, NOW + timedelta(days=10))
    assert first.evidence == later.evidence
    assert expiry_finding(one, NOW + timedelta(days=20)).evidence != first.evidence
