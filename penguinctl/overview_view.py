"""The fleet at a glance, at a terminal and for programs."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from penguinctl import blocks, moments, output, ui
from penguinctl.output import Column
from penguinctl.severity import styled
from penguinctl.ui import Styled

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime

    from penguindome.v1 import server_pb2 as pb

_BAR = 16
_SILENT_SHOWN = 10
_SPARK = 48


def show(seen: pb.GetOverviewResponse, now: datetime) -> None:
    """Print an overview that fits 80 columns."""
    output.pairs(
        [
            ("Devices", f"{seen.devices} active, {seen.connected_devices} connected"),
            ("Without issues", _part(seen.devices_without_issues, seen.devices)),
            ("Silent", f"{seen.silent_devices} for more than a day"),
        ]
    )
    _posture(seen.checks)
    _silent(seen, now)
    _trend(seen.trend, now)


def _part(number: int, whole: int) -> str:
    return f"{number} of {whole}"


def _posture(checks: Sequence[pb.CheckPosture]) -> None:
    ui.out()
    if not checks:
        ui.out("No check is in force.")
        return
    broad = min(34, max(output.width(one.name) for one in checks))
    ui.out(Styled(f"{'CHECK':<{broad}}  {'DEVICES':<{_BAR}}   FAIL   PASS  UNKNOWN", "bold"))
    for one in checks:
        name = output.cut(one.name, broad)
        padding = " " * (broad - output.width(name) + 2)
        numbers = f"  {one.failing:>5}  {one.passing:>5}  {one.unknown:>7}"
        style = styled(one.severity).style if one.failing else ""
        ui.out(Styled(name, style), padding, *_bar(one), numbers)


def _bar(one: pb.CheckPosture) -> list[Styled]:
    """Return what fails, passes and is not known as one bar."""
    parts = (one.failing, one.passing, one.unknown)
    fail, ok, unsure = blocks.shares(parts, _BAR)
    full, light, faint = "█▓░" if blocks.drawn() else "#=."
    rest = " " * (_BAR - fail - ok - unsure)
    return [
        Styled(full * fail, "red"),
        Styled(light * ok, "green"),
        Styled(faint * unsure + rest, "dim"),
    ]


def _silent(seen: pb.GetOverviewResponse, now: datetime) -> None:
    silent = seen.silent
    if not silent:
        return
    ui.out()
    columns = (Column("SILENT", shrinks=True), Column("LAST REPORT"), Column("ALERTS"))
    rows = [
        (
            one.hostname or one.device_id,
            moments.ago(one.last_report_unix_ms, now),
            "suspended" if one.suspended else "-",
        )
        for one in silent[:_SILENT_SHOWN]
    ]
    output.table(columns, rows)
    if seen.silent_devices > _SILENT_SHOWN:
        ui.out(f"and {seen.silent_devices - _SILENT_SHOWN} more")


def _trend(samples: Sequence[pb.HistorySample], now: datetime) -> None:
    if not samples:
        return
    ui.out()
    since = moments.short(samples[0].time_unix_ms, now)[:10]
    issues = [sum(one.open_issues.values()) for one in samples]
    reporting = [one.reporting_devices for one in samples]
    ui.out(Styled(f"SINCE {since}", "bold"))
    for name, values in (("Open issues", issues), ("Reporting devices", reporting)):
        ui.out(f"{name:<18}", blocks.sparkline(values, _SPARK), f"  {values[-1]}")


def history(samples: Sequence[pb.HistorySample], now: datetime) -> None:
    """Print samples, a line each."""
    if not samples:
        return
    columns = (
        Column("TIME"), Column("CONNECTED"), Column("REPORTING"), Column("ACTIVE"),
        Column("CRITICAL"), Column("HIGH"), Column("MEDIUM"), Column("LOW"), Column("REPORTS"),
    )  # fmt: skip
    rows = [
        (
            moments.short(one.time_unix_ms, now),
            str(one.connected_devices),
            str(one.reporting_devices),
            str(one.devices.get("active", 0)),
            *(str(one.open_issues.get(name, 0)) for name in ("critical", "high", "medium", "low")),
            str(one.reports_stored),
        )
        for one in samples
    ]
    output.table(columns, rows)


def sample_json(one: pb.HistorySample) -> dict[str, Any]:
    """Return a sample for programs."""
    return {
        "time": moments.iso(one.time_unix_ms),
        "connected_devices": one.connected_devices,
        "reporting_devices": one.reporting_devices,
        "devices": _sorted(one.devices),
        "open_issues": _sorted(one.open_issues),
        "open_by_name": _sorted(one.open_by_name),
        "reports_stored": one.reports_stored,
    }


def to_json(seen: pb.GetOverviewResponse) -> dict[str, Any]:
    """Return an overview for programs."""
    return {
        "time": moments.iso(seen.time_unix_ms),
        "fleet_id": seen.fleet_id,
        "devices": seen.devices,
        "connected_devices": seen.connected_devices,
        "devices_without_issues": seen.devices_without_issues,
        "checks": [
            {
                "name": one.name,
                "summary": one.summary,
                "severity": one.severity,
                "failing": one.failing,
                "passing": one.passing,
                "unknown": one.unknown,
                "not_applicable": one.not_applicable,
            }
            for one in seen.checks
        ],
        "silent_devices": seen.silent_devices,
        "silent": [
            {
                "device_id": one.device_id,
                "hostname": one.hostname,
                "last_report_time": moments.iso(one.last_report_unix_ms),
                "suspended": one.suspended,
            }
            for one in seen.silent
        ],
        "trend": [sample_json(one) for one in seen.trend],
        "operating_systems": _sorted(seen.operating_systems),
        "agent_versions": _sorted(seen.agent_versions),
    }


def _sorted(counts: Any) -> dict[str, int]:
    return {name: counts[name] for name in sorted(counts)}
