"""What the simulated server answers about alerts; sending them is the real server's business."""

from penguindome.v1 import alert_pb2, alert_pb2_grpc
from tests.penguinctl import samples


def alert():
    return alert_pb2.Alert(
        alert_id=samples.ISSUE,
        kind="operators",
        recipient="ops@example.org",
        state="failed",
        subject="PenguinDome: high: web-1: firewall-disabled",
        issue_ids=[samples.ISSUE],
        created_unix_ms=samples.NOW_MS - samples.HOUR_MS,
        attempts=3,
        last_error="550 no such user",
        text="web-1: the firewall is off\n",
    )


class Alert(alert_pb2_grpc.AlertServiceServicer):
    def ListAlerts(self, request, context):  # noqa: N802
        found = [one for one in [alert()] if not request.states or one.state in request.states]
        for one in found:
            one.text = ""
        return alert_pb2.ListAlertsResponse(alerts=found)

    def PreviewAlerts(self, request, context):  # noqa: N802
        return alert_pb2.PreviewAlertsResponse(alerts=[alert()])

    def TestAlert(self, request, context):  # noqa: N802
        sent = request.channel == "mail"
        answer = "ops@example.org: 250 taken" if sent else "there is no such channel"
        return alert_pb2.TestAlertResponse(sent=sent, answer=answer)

    def RetryAlerts(self, request, context):  # noqa: N802
        return alert_pb2.RetryAlertsResponse(alerts=len(request.alert_ids) or 1)


def add(server):
    alert_pb2_grpc.add_AlertServiceServicer_to_server(Alert(), server)
