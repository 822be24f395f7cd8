"""penguinctl overview: the fleet at a glance."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from penguinctl import output, overview_view, ui, wire
from penguinctl.app import App, pass_app
from penguinctl.output import output_option
from penguinctl.watching import watch_option
from penguindome.display import printable

if TYPE_CHECKING:
    from penguindome.v1 import server_pb2

# Each check judges each device.
_SECONDS = 120.0


@click.command(
    epilog="""\b
Examples:
  penguinctl overview
  penguinctl overview label:engineering --days 90
  penguinctl overview --html fleet.html
"""
)
@click.argument("selectors", nargs=-1, metavar="[SELECTOR]...")
@click.option(
    "--days", type=click.IntRange(1, 366), default=30, show_default=True, help="Of trend."
)
@click.option(
    "--html",
    "file",
    type=click.Path(path_type=Path, dir_okay=False),
    help="Write a page for a browser to this file instead.",
)
@watch_option
@output_option
@pass_app
def overview(
    app: App, *, selectors: tuple[str, ...], days: int, file: Path | None, output_format: str
) -> None:
    """Show the fleet at a glance: posture by check, silent devices, trend.

    Without selectors: all active devices. The trend is the whole fleet's.
    """
    request = wire.server_pb2.GetOverviewRequest(selectors=selectors, days=days)
    seen: server_pb2.GetOverviewResponse = app.call(
        "server.GetOverview", request, timeout_seconds=_SECONDS
    )
    if file is not None:
        _write(app, file, seen, " ".join(selectors))
        return
    value = overview_view.to_json(seen)
    output.answer(output_format, value, lambda: overview_view.show(seen, app.now))


def _write(app: App, file: Path, seen: server_pb2.GetOverviewResponse, selectors: str) -> None:
    from penguinctl.page.document import document  # noqa: PLC0415 -- --help stays quick
    from penguindome.durable import write_file  # noqa: PLC0415 -- as above

    page = document(seen, server=str(app.address), selectors=selectors, now=app.now)
    write_file(file.absolute(), page.encode(), 0o600)
    ui.note(f"Written: {printable(str(file))}")
