"""Issues as documents of the database, and the updates that change them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from penguind.domain.escaping import escape_value, unescape_value
from penguind.domain.issue import MAX_TIMELINE, Issue, TimelineEvent

if TYPE_CHECKING:
    from collections.abc import Mapping


def closing(issue: Issue) -> dict[str, Any]:
    """Return the update that closes an issue."""
    values: dict[str, Any] = {"state": "closed", "closed_time": issue.closed_time}
    if issue.closed_by:
        values["closed_by"] = issue.closed_by
        if issue.source != "check":
            values["holds"] = True
    # Pushed, not replaced: the issue may have been read without its timeline.
    return {"$set": values, "$push": pushed(event_document(issue.timeline[-1]))}


def snoozing(issue: Issue) -> dict[str, Any]:
    """Return the update that snoozes or unsnoozes an issue."""
    values = {
        "snoozed_until_time": issue.snoozed_until_time,
        "snoozed_by": issue.snoozed_by,
        "snooze_reason": issue.snooze_reason,
    }
    return {"$set": values, "$push": pushed(event_document(issue.timeline[-1]))}


def pushed(event: dict[str, Any]) -> dict[str, Any]:
    """Return the push of an event into the timeline."""
    # An issue that nobody cares for is told of every day for years.
    return {"timeline": {"$each": [event], "$slice": -MAX_TIMELINE}}


def words(issue: Issue) -> dict[str, Any]:
    """Return what an issue says, and until when nobody is told."""
    return {
        "severity": issue.severity,
        "summary": issue.summary,
        "remedy": issue.remedy,
        "grace_until_time": issue.grace_until_time,
    }


def evidence_of(issue: Issue) -> dict[str, Any]:
    """Return the evidence as it is stored."""
    return {"evidence": escape_value(issue.evidence)}


def event_document(event: TimelineEvent) -> dict[str, Any]:
    """Return an event of the timeline as it is stored."""
    return {
        "time": event.time,
        "event": event.event,
        "actor": event.actor,
        "reason": event.reason,
    }


def document_of(issue: Issue) -> dict[str, Any]:
    """Return a whole issue as it is stored."""
    document = {
        "_id": issue.issue_id,
        "device_id": issue.device_id,
        "hostname": issue.hostname,
        "name": issue.name,
        "state": "open" if issue.open else "closed",
        "severity": issue.severity,
        "summary": issue.summary,
        "remedy": issue.remedy,
        "source": issue.source,
        "opened_time": issue.opened_time,
        "closed_time": issue.closed_time,
        "closed_by": issue.closed_by or None,
        "grace_until_time": issue.grace_until_time,
        "data_time": issue.data_time,
        "evidence": escape_value(issue.evidence),
        "timeline": [event_document(one) for one in issue.timeline],
    }
    return {key: value for key, value in document.items() if value is not None}


def issue_from(found: Mapping[str, Any]) -> Issue:
    """Return the issue of a stored document, complete or without its long parts."""
    return Issue(
        issue_id=found["_id"],
        device_id=found["device_id"],
        hostname=found["hostname"],
        name=found["name"],
        severity=found["severity"],
        summary=found["summary"],
        remedy=found["remedy"],
        source=found.get("source", "check"),
        opened_time=found["opened_time"],
        closed_time=found.get("closed_time"),
        closed_by=found.get("closed_by", ""),
        grace_until_time=found.get("grace_until_time"),
        data_time=found.get("data_time"),
        evidence=unescape_value(found.get("evidence", {})),
        timeline=tuple(TimelineEvent(**one) for one in found.get("timeline", ())),
        alerted_time=found.get("alerted_time"),
        snoozed_until_time=found.get("snoozed_until_time"),
        snoozed_by=found.get("snoozed_by", ""),
        snooze_reason=found.get("snooze_reason", ""),
    )
