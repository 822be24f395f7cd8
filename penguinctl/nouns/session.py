"""penguinctl session: remote sessions, those that go on and those that were recorded."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from penguinctl import listing, output, session_view, ui, wire
from penguinctl.app import App, pass_app
from penguinctl.listing import list_options
from penguinctl.nouns import session_recording
from penguinctl.output import output_option

if TYPE_CHECKING:
    from penguindome.v1 import shell_pb2


@click.group()
def session() -> None:
    """Remote sessions: see, watch, end, play, search, export, verify.

    A session is named by its id, or by the beginning of it.
    """


@session.command(
    "list",
    epilog="""\b
Examples:
  penguinctl session list
  penguinctl session list --open
  penguinctl session list --device web-1 --operator alice
""",
)
@click.option("--device", default="", help="Only on this device.")
@click.option("--operator", default="", help="Only by this operator.")
@click.option("--open", "only_open", is_flag=True, help="Only those that go on.")
@click.option(
    "--limit", type=click.IntRange(1, 1000), default=100, show_default=True, help="How many."
)
@list_options
@pass_app
def list_(
    app: App, *, device: str, operator: str, only_open: bool, limit: int, output_format: str
) -> None:
    """List sessions, the newest first."""
    request = wire.shell_pb2.ListSessionsRequest(
        device=device, operator=operator, only_open=only_open, limit=limit
    )
    response: shell_pb2.ListSessionsResponse = app.call("shell.ListSessions", request)
    if not response.sessions:
        output.nothing(output_format, "No sessions.")
    listing.show(
        output_format,
        "sessions",
        list(response.sessions),
        session_view.to_json,
        blank=wire.shell_pb2.Session(),
        human=lambda items: session_view.table(app, items),
    )


@session.command(epilog="\b\nExample:\n  penguinctl session show 01M8AQTY\n")
@click.argument("session_id", metavar="SESSION")
@output_option
@pass_app
def show(app: App, session_id: str, output_format: str) -> None:
    """Show one session."""
    from penguinctl.shell.opening import session_of  # noqa: PLC0415 -- --help stays quick

    found = session_of(app, session_id).session
    output.answer(
        output_format, session_view.to_json(found), lambda: session_view.facts(app, found)
    )


@session.command(
    epilog="""\b
Examples:
  penguinctl session kill 01M8AQTY --reason 'wrong device'
"""
)
@click.argument("session_id", metavar="SESSION")
@click.option("--reason", default="", help="Why; both ends are told.")
@output_option
@pass_app
def kill(app: App, session_id: str, reason: str, output_format: str) -> None:
    """End a session that goes on; everything that it started on the device ends with it."""
    request = wire.shell_pb2.EndSessionRequest(order_id=session_id, reason=reason)
    app.call("shell.EndSession", request)
    value = {"session": session_id, "ending": True}
    output.answer(output_format, value, lambda: ui.out("The session is being ended."))


for _command in session_recording.COMMANDS:
    session.add_command(_command)
