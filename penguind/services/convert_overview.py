"""History and overview as messages."""

from __future__ import annotations

from typing import TYPE_CHECKING

from penguind.domain.verdict import Verdict
from penguind.services.convert_device import unix_ms
from penguindome.v1 import server_pb2 as pb

if TYPE_CHECKING:
    from penguind.domain.history import Sample
    from penguind.overview import Glance, Posture, Silent


def sample_to_message(sample: Sample) -> pb.HistorySample:
    """Return the message of a sample."""
    return pb.HistorySample(
        time_unix_ms=unix_ms(sample.time),
        connected_devices=sample.connected_devices,
        devices=sample.devices,
        open_issues=sample.open_issues,
        open_by_name=sample.open_by_name,
        reporting_devices=sample.reporting_devices,
        reports_stored=sample.reports_stored,
    )


def glance_to_message(glance: Glance, fleet_id: str) -> pb.GetOverviewResponse:
    """Return the message of an overview."""
    return pb.GetOverviewResponse(
        time_unix_ms=unix_ms(glance.time),
        fleet_id=fleet_id,
        devices=glance.devices,
        connected_devices=glance.connected,
        devices_without_issues=glance.without_issues,
        checks=map(_posture, glance.postures),
        silent=map(_silent, glance.silent),
        silent_devices=glance.silent_devices,
        trend=map(sample_to_message, glance.trend),
        operating_systems=glance.operating_systems,
        agent_versions=glance.agent_versions,
    )


def _posture(posture: Posture) -> pb.CheckPosture:
    return pb.CheckPosture(
        name=posture.check.name,
        summary=posture.check.summary,
        severity=posture.check.severity,
        failing=posture.counts[Verdict.FAIL],
        passing=posture.counts[Verdict.PASS],
        unknown=posture.counts[Verdict.UNKNOWN],
        not_applicable=posture.counts[Verdict.NOT_APPLICABLE],
    )


def _silent(silent: Silent) -> pb.SilentDevice:
    return pb.SilentDevice(
        device_id=silent.device.device_id,
        hostname=silent.device.hostname,
        last_report_unix_ms=unix_ms(silent.report_time),
        suspended=silent.device.suspended(silent.report_time),
    )
