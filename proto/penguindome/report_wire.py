"""Convert reports between the wire and the rules.

Trust: the message comes from a device; what comes out passed `check_report`.
"""

from __future__ import annotations

from penguindome.errors import InvalidInput
from penguindome.reports import Output, OutputStatus, Report, check_report, valid_plugin_name
from penguindome.times import from_unix_ms, to_unix_ms
from penguindome.v1 import agent_pb2

_TO_WIRE = {
    OutputStatus.OK: agent_pb2.OUTPUT_STATUS_OK,
    OutputStatus.UNKNOWN: agent_pb2.OUTPUT_STATUS_UNKNOWN,
    OutputStatus.ERROR: agent_pb2.OUTPUT_STATUS_ERROR,
    OutputStatus.TIMEOUT: agent_pb2.OUTPUT_STATUS_TIMEOUT,
    OutputStatus.NOT_APPLICABLE: agent_pb2.OUTPUT_STATUS_NOT_APPLICABLE,
    OutputStatus.CACHED: agent_pb2.OUTPUT_STATUS_CACHED,
}
_FROM_WIRE = {number: status for status, number in _TO_WIRE.items()}


def report_to_message(report: Report) -> agent_pb2.SubmitReportRequest:
    """Return the message that carries a report."""
    return agent_pb2.SubmitReportRequest(
        report_id=report.report_id,
        base_hash=report.base_hash,
        state_hash=report.state_hash,
        collected_unix_ms=to_unix_ms(report.collected_time),
        boot_id=report.boot_id,
        outputs=[_output_to_message(output) for output in report.outputs],
        removed=report.removed,
        full=report.full,
        following=report.following,
        request_id=report.request_id,
    )


def report_from_message(message: agent_pb2.SubmitReportRequest) -> Report:
    """Return the report that a message carries, checked.

    Raises:
        InvalidInput: Something about it is wrong.
    """
    report = Report(
        report_id=message.report_id,
        base_hash=message.base_hash,
        state_hash=message.state_hash,
        collected_time=from_unix_ms(message.collected_unix_ms),
        boot_id=message.boot_id,
        outputs=tuple(map(_output_from_message, message.outputs)),
        removed=tuple(message.removed),
        full=message.full,
        following=tuple(message.following),
        request_id=message.request_id,
    )
    check_report(report)
    return report


def _output_to_message(output: Output) -> agent_pb2.PluginOutput:
    return agent_pb2.PluginOutput(
        name=output.name,
        status=_TO_WIRE[output.status],
        json=output.json,
        reason=output.reason,
        collected_unix_ms=to_unix_ms(output.collected_time),
        cached_unix_ms=to_unix_ms(output.cached_time) if output.cached_time else 0,
        local=output.local,
    )


def _output_from_message(message: agent_pb2.PluginOutput) -> Output:
    status = _FROM_WIRE.get(message.status)
    if status is None:
        raise InvalidInput(
            "the report is refused: an output has no known status",
            code="bad-report",
            subject=message.name if valid_plugin_name(message.name) else "",
        )
    cached = message.cached_unix_ms
    return Output(
        name=message.name,
        status=status,
        json=message.json,
        reason=message.reason,
        collected_time=from_unix_ms(message.collected_unix_ms),
        cached_time=from_unix_ms(cached) if cached else None,
        local=message.local,
    )
