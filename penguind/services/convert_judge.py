"""Convert issues, checks and trail entries to messages."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from penguind.domain.verdict import Judged, Verdict
from penguindome.reports import canonical_json
from penguindome.times import to_unix_ms
from penguindome.v1 import check_pb2, issue_pb2, trail_pb2

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime

    from penguind.check_loader import CheckProblem
    from penguind.domain.check import Check
    from penguind.domain.issue import Issue
    from penguind.store.trail_queries import TrailEntry


def issue_to_message(issue: Issue, now: datetime, quiet: str = "") -> issue_pb2.Issue:
    """Return the message; evidence and timeline are there if the issue was read with them."""
    snoozed = issue.in_snooze(now)
    events = [
        issue_pb2.IssueEvent(
            time_unix_ms=to_unix_ms(one.time),
            event=one.event,
            actor=one.actor,
            reason=one.reason,
        )
        for one in issue.timeline
    ]
    return issue_pb2.Issue(
        issue_id=issue.issue_id,
        device_id=issue.device_id,
        hostname=issue.hostname,
        name=issue.name,
        state="open" if issue.open else "closed",
        severity=issue.severity,
        opened_unix_ms=to_unix_ms(issue.opened_time),
        closed_unix_ms=_optional_ms(issue.closed_time),
        grace_until_unix_ms=_optional_ms(issue.grace_until_time),
        summary=issue.summary,
        remedy=issue.remedy,
        evidence=_json(issue.evidence) if issue.evidence else b"",
        timeline=events,
        alerted_unix_ms=_optional_ms(issue.alerted_time),
        snoozed_until_unix_ms=_optional_ms(issue.snoozed_until_time) if snoozed else 0,
        snoozed_by=issue.snoozed_by if snoozed else "",
        snooze_reason=issue.snooze_reason if snoozed else "",
        source=issue.source,
        quiet=quiet,
    )


def check_to_message(check: Check) -> check_pb2.Check:
    """Return the message of a check."""
    return check_pb2.Check(
        name=check.name,
        summary=check.summary,
        severity=check.severity,
        grace_seconds=int(check.grace_period.total_seconds()),
        alert_period_seconds=int(check.alert_period.total_seconds()),
        remedy=check.remedy,
        source=check.source,
        origin=check.origin,
        calendar=check.calendar,
    )


def problem_to_message(problem: CheckProblem) -> check_pb2.CheckProblem:
    """Return the message of a file that was not loaded."""
    return check_pb2.CheckProblem(origin=problem.origin, reason=problem.reason)


def verdicts_to_message(name: str, judged: Sequence[Judged]) -> check_pb2.CheckVerdicts:
    """Return how one check judges devices."""
    by_verdict: dict[Verdict, list[Judged]] = {verdict: [] for verdict in Verdict}
    for one in sorted(judged, key=lambda one: (one.hostname, one.device_id)):
        if name in one.verdicts:
            by_verdict[one.verdicts[name]].append(one)
    return check_pb2.CheckVerdicts(
        failing=[_reference(one) for one in by_verdict[Verdict.FAIL]],
        passing=len(by_verdict[Verdict.PASS]),
        unknown=[_reference(one) for one in by_verdict[Verdict.UNKNOWN]],
        not_applicable=len(by_verdict[Verdict.NOT_APPLICABLE]),
    )


def trail_entry_to_message(entry: TrailEntry) -> trail_pb2.TrailEntry:
    """Return the message of a change."""
    return trail_pb2.TrailEntry(
        entry_id=entry.entry_id,
        device_id=entry.device_id,
        hostname=entry.hostname,
        received_unix_ms=to_unix_ms(entry.received_time),
        collected_unix_ms=to_unix_ms(entry.collected_time),
        type=entry.type,
        key=entry.key,
        old_json=b"" if entry.type == "add" else _json(entry.old),
        new_json=b"" if entry.type == "delete" else _json(entry.new),
    )


def _reference(judged: Judged) -> check_pb2.DeviceReference:
    return check_pb2.DeviceReference(device_id=judged.device_id, hostname=judged.hostname)


def _optional_ms(moment: datetime | None) -> int:
    return 0 if moment is None else to_unix_ms(moment)


def _json(value: Any) -> bytes:
    return canonical_json(value)
