"""A stored output between the domain and the wire."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from penguindome.reports import canonical_json
from penguindome.times import to_unix_ms
from penguindome.v1 import device_pb2

if TYPE_CHECKING:
    from collections.abc import Mapping

    from penguind.domain.report_rules import HeldOutput


def output_message(output: HeldOutput, values: Mapping[str, Any]) -> device_pb2.DeviceOutput:
    """Return an output with its value among `values`, as far as there is one."""
    known = output.name in values
    return device_pb2.DeviceOutput(
        name=output.name,
        status=output.status,
        json=canonical_json(values[output.name]) if known else b"",
        reason=output.reason,
        collected_unix_ms=to_unix_ms(output.collected_time),
        local=output.local,
    )
