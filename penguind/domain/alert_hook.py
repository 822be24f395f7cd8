"""Build what webhooks get: JSON with a stable schema, and its signature."""

from __future__ import annotations

import hashlib
import hmac
import json
from typing import TYPE_CHECKING, Any

from penguindome.times import to_iso

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime

    from penguind.domain.issue import Issue

SCHEMA = "penguindome.alert/1"


def issues_body(alert_id: str, fleet_id: str, issues: Sequence[Issue], now: datetime) -> str:
    """Return the JSON about issues of one device."""
    first = issues[0]
    device = {"device_id": first.device_id, "hostname": first.hostname}
    facts = {"device": device, "issues": [_issue(one) for one in issues]}
    return _body(alert_id, fleet_id, "issues", now, facts)


def trial_body(alert_id: str, fleet_id: str, now: datetime) -> str:
    """Return the JSON of a test, which is about nothing."""
    return _body(alert_id, fleet_id, "test", now, {"device": None, "issues": []})


def signature(secret: bytes, timestamp: str, body: bytes) -> str:
    """Return the header's value: HMAC-SHA256 over `timestamp.body`."""
    signed = timestamp.encode("ascii") + b"." + body
    return "v1=" + hmac.new(secret, signed, hashlib.sha256).hexdigest()


def _body(alert_id: str, fleet_id: str, event: str, now: datetime, facts: dict[str, Any]) -> str:
    head = {
        "schema": SCHEMA,
        "id": alert_id,
        "fleet_id": fleet_id,
        "event": event,
        "created_time": to_iso(now),
    }
    return json.dumps(head | facts, ensure_ascii=True)


def _issue(issue: Issue) -> dict[str, Any]:
    told = issue.alerted_time
    return {
        "issue_id": issue.issue_id,
        "name": issue.name,
        "severity": issue.severity,
        "summary": issue.summary,
        "remedy": issue.remedy,
        "source": issue.source,
        "opened_time": to_iso(issue.opened_time),
        "told_before_time": to_iso(told) if told is not None else None,
    }
