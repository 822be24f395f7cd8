"""How devices look, to people and to programs."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from penguinctl import moments, output
from penguinctl.output import Column
from penguinctl.severity import styled
from penguinctl.ui import Styled

if TYPE_CHECKING:
    from collections.abc import Sequence

    from penguinctl.app import App
    from penguindome.v1 import device_pb2

_COLUMNS = (
    Column("HOSTNAME", shrinks=True),
    Column("STATE"),
    Column("ONLINE"),
    Column("LAST REPORT"),
    Column("ISSUES"),
    Column("SYSTEM", shrinks=True, least=12),
    Column("LABELS", shrinks=True),
    Column("ID"),
)


def table(app: App, devices: Sequence[device_pb2.Device]) -> None:
    """Print devices, a line each."""
    if not devices:
        return
    output.table(_COLUMNS, [_row(app, item) for item in devices])


def _row(app: App, item: device_pb2.Device) -> tuple[str | Styled, ...]:
    issues = len(item.open_issues)
    return (
        item.hostname,
        "suspended" if item.suspended and item.state == "active" else styled(item.state),
        Styled("yes", "green") if item.connected else "no",
        moments.ago(item.last_report_unix_ms, app.now),
        Styled(str(issues), "yellow") if issues else "0",
        item.os_name or "-",
        output.words(item.labels),
        item.device_id,
    )


def facts(app: App, item: device_pb2.Device) -> None:
    """Print what is known of one device."""
    output.pairs(
        [
            ("Device", item.device_id),
            ("Hostname", item.hostname),
            ("State", styled(item.state)),
            ("Suspended", "yes, until it reports" if item.suspended else "no"),
            *_held(item),
            ("Online", "yes" if item.connected else "no"),
            ("System", item.os_name or "-"),
            ("Agent", item.agent_version or "-"),
            ("Address", item.peer_address or "-"),
            ("User's mail", item.user_email or "-"),
            ("Labels", output.words(item.labels)),
            ("Open issues", output.words(item.open_issues)),
            ("Enrolled", moments.local(item.enrolled_unix_ms, app.now)),
            ("Approved by", _approval(item.approved_by)),
            ("Last report", moments.local(item.last_report_unix_ms, app.now, never="never")),
            ("Last seen", moments.local(item.last_seen_unix_ms, app.now, never="never")),
            ("Certificate ends", moments.local(item.certificate_expires_unix_ms, app.now)),
            ("Clock is off by", _skew(item.clock_skew_ms)),
            ("Key fingerprint", item.key_fingerprint or "-"),
            ("Same hardware as", output.words(item.same_hardware)),
        ]
    )


def _held(item: device_pb2.Device) -> list[tuple[str, str]]:
    """Return who blocked or suspended a device, and why."""
    if not item.held_by:
        return []
    who = "Suspended by" if item.suspended and item.state != "blocked" else "Held by"
    return [(who, item.held_by), ("Because", item.held_reason or "-")]


def _approval(name: str) -> str:
    if name == "token":
        return "token (the server's word: no operator signed this device's key)"
    return name or "-"


def _skew(milliseconds: int) -> str:
    # Adding zero turns a rounded -0.0 into 0.0.
    return f"{round(milliseconds / 1000, 1) + 0.0:+.1f} s"


def outputs_table(app: App, outputs: Sequence[device_pb2.DeviceOutput]) -> None:
    """Print plugins' outputs, a line each, without their values."""
    columns = (
        Column("PLUGIN"),
        Column("STATUS"),
        Column("COLLECTED"),
        Column("LOCAL"),
        Column("REASON", shrinks=True),
    )
    rows = [
        (
            item.name,
            item.status,
            moments.ago(item.collected_unix_ms, app.now),
            "yes" if item.local else "no",
            item.reason or "-",
        )
        for item in outputs
    ]
    output.table(columns, rows)


def to_json(item: device_pb2.Device) -> dict[str, Any]:
    """Return a device for programs."""
    return {
        "device_id": item.device_id,
        "hostname": item.hostname,
        "state": item.state,
        "connected": item.connected,
        "enrolled_time": moments.iso(item.enrolled_unix_ms),
        "last_report_time": moments.iso(item.last_report_unix_ms),
        "last_seen_time": moments.iso(item.last_seen_unix_ms),
        "agent_version": item.agent_version,
        "os_name": item.os_name,
        "labels": list(item.labels),
        "open_issues": list(item.open_issues),
        "key_fingerprint": item.key_fingerprint,
        "peer_address": item.peer_address,
        "approved_by": item.approved_by,
        "same_hardware": list(item.same_hardware),
        "certificate_expires_time": moments.iso(item.certificate_expires_unix_ms),
        "clock_skew_ms": item.clock_skew_ms,
        "user_email": item.user_email,
        "suspended": item.suspended,
        "held_by": item.held_by,
        "held_reason": item.held_reason,
    }


def output_json(item: device_pb2.DeviceOutput) -> dict[str, Any]:
    """Return a plugin's output for programs."""
    return {
        "name": item.name,
        "status": item.status,
        "value": output.loaded(item.json),
        "reason": item.reason,
        "collected_time": moments.iso(item.collected_unix_ms),
        "local": item.local,
    }
