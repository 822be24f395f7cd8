"""AlertService: what people were told, and what waits to be told."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from penguindome.times import to_unix_ms
from penguindome.v1 import alert_pb2 as pb
from penguindome.v1.alert_pb2_grpc import AlertServiceServicer

if TYPE_CHECKING:
    from collections.abc import Iterable
    from datetime import datetime

    from penguind.alerts.desk import AlertDesk
    from penguind.domain.alert import Alert

# Texts of a first preview of a large fleet would not fit into one answer.
_MAX_BYTES = 3 << 20


class AlertService(AlertServiceServicer):
    """Serves operators."""

    def __init__(self, desk: AlertDesk) -> None:
        self._desk = desk

    async def ListAlerts(  # noqa: N802 -- gRPC's
        self,
        request: pb.ListAlertsRequest,
        context: Any,  # noqa: ARG002
    ) -> pb.ListAlertsResponse:
        """Return alerts, the newest first."""
        found = await self._desk.newest_first(request.states, request.limit)
        return pb.ListAlertsResponse(alerts=_fitting(map(_message, found)))

    async def PreviewAlerts(  # noqa: N802 -- gRPC's
        self,
        request: pb.PreviewAlertsRequest,  # noqa: ARG002
        context: Any,  # noqa: ARG002
    ) -> pb.PreviewAlertsResponse:
        """Return what would be sent, with its text."""
        found = await self._desk.preview()
        return pb.PreviewAlertsResponse(alerts=_fitting(map(_with_text, found)))

    async def TestAlert(  # noqa: N802 -- gRPC's
        self,
        request: pb.TestAlertRequest,
        context: Any,  # noqa: ARG002
    ) -> pb.TestAlertResponse:
        """Send a test message now."""
        trial = await self._desk.test(request.channel, request.recipient)
        return pb.TestAlertResponse(sent=trial.sent, answer=trial.answer)

    async def RetryAlerts(  # noqa: N802 -- gRPC's
        self,
        request: pb.RetryAlertsRequest,
        context: Any,  # noqa: ARG002
    ) -> pb.RetryAlertsResponse:
        """Have failed alerts tried again."""
        return pb.RetryAlertsResponse(alerts=await self._desk.retry(request.alert_ids))


def _fitting(messages: Iterable[pb.Alert]) -> list[pb.Alert]:
    kept, size = [], 0
    for one in messages:
        size += one.ByteSize()
        if size > _MAX_BYTES:
            break
        kept.append(one)
    return kept


def _with_text(alert: Alert) -> pb.Alert:
    message = _message(alert)
    message.text = alert.text
    return message


def _message(alert: Alert) -> pb.Alert:
    return pb.Alert(
        alert_id=alert.alert_id,
        kind=alert.kind,
        recipient=alert.recipient,
        state=alert.state,
        subject=alert.subject,
        issue_ids=alert.issue_ids,
        created_unix_ms=to_unix_ms(alert.created_time),
        sent_unix_ms=_unix_ms(alert.sent_time),
        attempts=alert.attempts,
        next_attempt_unix_ms=_unix_ms(alert.next_attempt_time),
        last_error=alert.last_error,
    )


def _unix_ms(moment: datetime | None) -> int:
    return 0 if moment is None else to_unix_ms(moment)
