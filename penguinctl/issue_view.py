"""How issues look, to people and to programs."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from penguinctl import moments, output, ui
from penguinctl.output import Column
from penguinctl.severity import styled

if TYPE_CHECKING:
    from collections.abc import Sequence

    from penguinctl.app import App
    from penguindome.v1 import issue_pb2

#: What begins the id of a part of the server, which stands in the place of a device's.
SERVER = "server:"

_COLUMNS = (
    Column("SEVERITY"),
    Column("HOSTNAME", shrinks=True),
    Column("ISSUE", shrinks=True),
    Column("QUIET", shrinks=True),
    Column("OPENED"),
    Column("ID"),
    Column("SUMMARY", shrinks=True, least=24),
)


def table(app: App, issues: Sequence[issue_pb2.Issue]) -> None:
    """Print issues, a line each."""
    if not issues:
        return
    closed = any(item.state != "open" for item in issues)
    hushed = any(item.quiet for item in issues)
    rows: list[tuple[str | ui.Styled, ...]] = [
        (
            styled(item.severity),
            item.hostname or item.device_id,
            item.name,
            *([quiet(app, item) or styled(item.state)] if closed else []),
            *([quiet(app, item) or "-"] if hushed and not closed else []),
            moments.ago(item.opened_unix_ms, app.now),
            item.issue_id,
            item.summary or "-",
        )
        for item in issues
    ]
    # An issue is closed or may be quiet: one column has both, or the table gets too wide.
    columns = [
        Column("STATE", shrinks=True) if closed and column.title == "QUIET" else column
        for column in _COLUMNS
        if column.title != "QUIET" or closed or hushed
    ]
    output.table(columns, rows)


def quiet(app: App, item: issue_pb2.Issue) -> str:
    """Say why nobody is told about an issue now; empty where people are."""
    ends = {"grace": item.grace_until_unix_ms, "snoozed": item.snoozed_until_unix_ms}
    end = ends.get(item.quiet, 0)
    left = moments.ago(end, app.now).removeprefix("in ")
    return f"{item.quiet} {left}" if end else item.quiet


def facts(app: App, item: issue_pb2.Issue) -> None:
    """Print everything about one issue."""
    output.pairs(
        [
            ("Issue", item.issue_id),
            ("Name", item.name),
            ("State", styled(item.state)),
            ("Severity", styled(item.severity)),
            ("Hostname", item.hostname),
            ("About" if item.device_id.startswith(SERVER) else "Device", item.device_id),
            ("Summary", item.summary or "-"),
            ("Remedy", item.remedy or "-"),
            ("Opened", moments.local(item.opened_unix_ms, app.now)),
            ("Closed", moments.local(item.closed_unix_ms, app.now)),
            ("Opened by", item.source or "-"),
            ("Grace until", moments.local(item.grace_until_unix_ms, app.now)),
            ("People were told", moments.local(item.alerted_unix_ms, app.now, never="never")),
            ("Nobody is told now", item.quiet or "-"),
            *_snooze(app, item),
        ]
    )
    if item.evidence:
        ui.out()
        ui.out(ui.Styled("Evidence:", "bold"))
        ui.out(json.dumps(output.loaded(item.evidence), indent=2, ensure_ascii=False))
    _timeline(app, item)


def _snooze(app: App, item: issue_pb2.Issue) -> list[tuple[str, str]]:
    if not item.snoozed_until_unix_ms:
        return []
    return [
        ("Snoozed until", moments.local(item.snoozed_until_unix_ms, app.now)),
        ("Snoozed by", item.snoozed_by),
        ("Because", item.snooze_reason or "-"),
    ]


def _timeline(app: App, item: issue_pb2.Issue) -> None:
    if not item.timeline:
        return
    ui.out()
    columns = (Column("TIME"), Column("EVENT"), Column("BY"), Column("REASON", shrinks=True))
    rows = [
        (moments.short(e.time_unix_ms, app.now), e.event, e.actor, e.reason or "-")
        for e in item.timeline
    ]
    output.table(columns, rows)


def to_json(item: issue_pb2.Issue) -> dict[str, Any]:
    """Return an issue for programs."""
    return {
        "issue_id": item.issue_id,
        "device_id": item.device_id,
        "hostname": item.hostname,
        "name": item.name,
        "state": item.state,
        "severity": item.severity,
        "opened_time": moments.iso(item.opened_unix_ms),
        "closed_time": moments.iso(item.closed_unix_ms),
        "grace_until_time": moments.iso(item.grace_until_unix_ms),
        "summary": item.summary,
        "remedy": item.remedy,
        "evidence": output.loaded(item.evidence),
        "source": item.source,
        "quiet": item.quiet,
        "alerted_time": moments.iso(item.alerted_unix_ms),
        "snoozed_until_time": moments.iso(item.snoozed_until_unix_ms),
        "snoozed_by": item.snoozed_by,
        "snooze_reason": item.snooze_reason,
    }


def timeline_json(item: issue_pb2.Issue) -> dict[str, Any]:
    """Return what happened to an issue, oldest first, for programs."""
    return {
        "timeline": [
            {
                "time": moments.iso(event.time_unix_ms),
                "event": event.event,
                "actor": event.actor,
                "reason": event.reason,
            }
            for event in item.timeline
        ]
    }
