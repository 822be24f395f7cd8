"""How sessions look, to people and to programs."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from penguinctl import moments, output
from penguinctl.output import Column
from penguinctl.ui import Styled

if TYPE_CHECKING:
    from collections.abc import Sequence

    from penguinctl.app import App
    from penguindome.v1 import shell_pb2

_COLUMNS = (
    Column("ID"),
    Column("BEGAN"),
    Column("HOSTNAME", shrinks=True),
    Column("OPERATOR"),
    Column("USER"),
    Column("STATE"),
    Column("COMMAND", shrinks=True, least=8),
    Column("RECORDED"),
)


def table(app: App, sessions: Sequence[shell_pb2.Session]) -> None:
    """Print sessions, a line each."""
    if sessions:
        output.table(_COLUMNS, [_row(app, one) for one in sessions])


def _row(app: App, one: shell_pb2.Session) -> tuple[str | Styled, ...]:
    return (
        one.order_id,
        moments.short(one.started_unix_ms or one.submitted_unix_ms, app.now),
        one.hostname,
        one.operator,
        one.user,
        Styled(one.state, "green") if one.state == "running" else one.state,
        one.command or "-",
        f"{one.recorded_bytes:,}" + ("" if one.complete or not one.pieces else "…"),
    )


def facts(app: App, one: shell_pb2.Session) -> None:
    """Print what is known of one session."""
    output.pairs(
        [
            ("Session", one.order_id),
            ("Device", f"{one.hostname} ({one.device_id})"),
            ("Operator", one.operator),
            ("Approved by", output.words(one.approved_by)),
            ("Reason", one.reason or "-"),
            ("User", one.user),
            ("What", f"{one.purpose} {one.command}".strip()),
            ("State", one.state),
            ("Ended", one.ended_reason or "-"),
            ("Exit status", str(one.exit_status) if one.HasField("exit_status") else "-"),
            ("Asked for", moments.local(one.submitted_unix_ms, app.now)),
            ("Began", moments.local(one.started_unix_ms, app.now)),
            ("Over since", moments.local(one.ended_unix_ms, app.now)),
            ("Recording", _recording(one)),
            ("Watched by", output.words(one.watched_by)),
        ]
    )


def _recording(one: shell_pb2.Session) -> str:
    if not one.pieces:
        return "none"
    words = f"{one.recorded_bytes:,} bytes in {one.pieces:,} pieces"
    words += ", sealed to auditors" if one.sealed else ""
    return words + ("" if one.complete else ", its end is not here")


def to_json(one: shell_pb2.Session) -> dict[str, Any]:
    """Return a session for programs."""
    return {
        "session_id": one.order_id,
        "device_id": one.device_id,
        "hostname": one.hostname,
        "operator": one.operator,
        "approved_by": list(one.approved_by),
        "reason": one.reason,
        "user": one.user,
        "purpose": one.purpose,
        "command": one.command,
        "state": one.state,
        "ended_reason": one.ended_reason,
        "exit_status": one.exit_status if one.HasField("exit_status") else None,
        "submitted_time": moments.iso(one.submitted_unix_ms),
        "started_time": moments.iso(one.started_unix_ms),
        "ended_time": moments.iso(one.ended_unix_ms),
        "pieces": one.pieces,
        "recorded_bytes": one.recorded_bytes,
        "sealed": one.sealed,
        "complete": one.complete,
        "watched_by": list(one.watched_by),
    }
