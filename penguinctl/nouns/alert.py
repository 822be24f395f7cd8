"""penguinctl alert: what people were told, and what waits to be told."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from penguinctl import exits, listing, moments, output, ui, wire
from penguinctl.app import App, pass_app
from penguinctl.listing import list_options
from penguinctl.output import Column, output_option
from penguinctl.severity import styled
from penguindome.display import printable, printable_block

if TYPE_CHECKING:
    from collections.abc import Sequence

    from penguindome.v1 import alert_pb2

STATES = ("waiting", "sent", "failed", "withdrawn")
# A mail server may take its time with each address.
_TEST_SECONDS = 300.0
_COLUMNS = (
    *map(Column, ("STATE", "CREATED", "KIND")),
    Column("TO", shrinks=True),
    *map(Column, ("TRIES", "NEXT", "ID")),
    Column("SUBJECT", shrinks=True, least=24),
    Column("ERROR", shrinks=True, least=12),
)


@click.group()
def alert() -> None:
    """Alerts: what people were told about issues, and what waits to be told.

    The server's settings say who is told, how and when.
    """


@alert.command(
    "list",
    epilog="\b\nExamples:\n  penguinctl alert list\n  penguinctl alert list --state failed\n",
)
@click.option(
    "--state",
    "states",
    multiple=True,
    type=click.Choice(STATES),
    help="Only in this state; repeatable.",
)
@click.option(
    "--limit",
    type=click.IntRange(1, 1000),
    default=100,
    show_default=True,
    help="At most so many.",
)
@list_options
@pass_app
def list_(app: App, *, states: tuple[str, ...], limit: int, output_format: str) -> None:
    """List messages, the newest first."""
    request = wire.alert_pb2.ListAlertsRequest(states=states, limit=limit)
    found: list[alert_pb2.Alert] = list(app.call("alert.ListAlerts", request).alerts)
    if not found:
        ui.note("No alerts.")
    listing.show(
        output_format,
        "alerts",
        found,
        _json,
        blank=wire.alert_pb2.Alert(),
        human=lambda items: _table(app, items),
    )
    if not found and states:
        output.end_with_nothing()


@alert.command(epilog="\b\nExample:\n  penguinctl alert preview\n")
@output_option
@pass_app
def preview(app: App, *, output_format: str) -> None:
    """Show what would be sent now and with the next digest; nothing is sent.

    Users who cannot be told, for no user_email is set, are shown too.
    """
    request = wire.alert_pb2.PreviewAlertsRequest()
    found: list[alert_pb2.Alert] = list(app.call("alert.PreviewAlerts", request).alerts)
    if not found:
        output.nothing(output_format, "Nothing would be sent.")
    listing.show(
        output_format,
        "alerts",
        found,
        lambda item: _json(item) | {"text": item.text},
        blank=wire.alert_pb2.Alert(),
        human=lambda items: _texts(app, items),
    )


@alert.command(
    epilog="\b\nExamples:\n  penguinctl alert test mail --to ann@example.org\n"
    "  penguinctl alert test chat\n"
)
@click.argument("channel")
@click.option("--to", "recipient", default="", help="For mail: another address than operators'.")
@output_option
@pass_app
def test(app: App, *, channel: str, recipient: str, output_format: str) -> None:
    """Send a test message now over a CHANNEL: mail, or a webhook's name."""
    request = wire.alert_pb2.TestAlertRequest(channel=channel, recipient=recipient)
    response: alert_pb2.TestAlertResponse = app.call(
        "alert.TestAlert", request, timeout_seconds=_TEST_SECONDS
    )
    value = {"sent": response.sent, "answer": response.answer}
    word = "Sent" if response.sent else "Not sent"
    output.answer(output_format, value, lambda: ui.out(f"{word}: {printable(response.answer)}"))
    if not response.sent:
        raise click.exceptions.Exit(exits.FAILED)


@alert.command(epilog="\b\nExamples:\n  penguinctl alert retry\n  penguinctl alert list\n")
@click.argument("alert_ids", nargs=-1, metavar="[ID]...")
@output_option
@pass_app
def retry(app: App, *, alert_ids: tuple[str, ...], output_format: str) -> None:
    """Try failed messages again: those with these IDs, or all."""
    request = wire.alert_pb2.RetryAlertsRequest(alert_ids=alert_ids)
    count = app.call("alert.RetryAlerts", request).alerts
    output.answer(output_format, {"alerts": count}, lambda: ui.out(f"Tried again: {count}."))
    if alert_ids and not count:
        output.end_with_nothing()


def _texts(app: App, found: Sequence[alert_pb2.Alert]) -> None:
    for item in found:
        when = moments.local(item.next_attempt_unix_ms, app.now)
        who = f"{item.kind} {item.recipient}".strip()
        why = item.last_error or when
        ui.out(ui.Styled(f"{printable(who)} ({printable(why)})", "bold"))
        ui.out(f"Subject: {printable(item.subject)}")
        ui.out()
        ui.out(printable_block(item.text))


def _table(app: App, items: Sequence[alert_pb2.Alert]) -> None:
    if not items:
        return
    rows = [
        (
            styled(item.state),
            moments.ago(item.created_unix_ms, app.now),
            item.kind,
            item.recipient,
            str(item.attempts),
            moments.ago(item.next_attempt_unix_ms, app.now, never="-"),
            item.alert_id,
            item.subject,
            item.last_error or "-",
        )
        for item in items
    ]
    output.table(_COLUMNS, rows)


def _json(item: alert_pb2.Alert) -> dict[str, Any]:
    return {
        "alert_id": item.alert_id,
        "kind": item.kind,
        "recipient": item.recipient,
        "state": item.state,
        "subject": item.subject,
        "issue_ids": list(item.issue_ids),
        "created_time": moments.iso(item.created_unix_ms),
        "sent_time": moments.iso(item.sent_unix_ms),
        "attempts": item.attempts,
        "next_attempt_time": moments.iso(item.next_attempt_unix_ms),
        "last_error": item.last_error,
    }
