"""penguinctl trail: what changed in devices' data."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from penguinctl import changes, moments, output, wire
from penguinctl.app import App, pass_app
from penguinctl.listing import list_options

if TYPE_CHECKING:
    from penguindome.v1 import trail_pb2


@click.command(
    epilog="""\b
Examples:
  penguinctl trail
  penguinctl trail web-1 --since 3d
  penguinctl trail label:sales --key plugins.firewall --limit 500
"""
)
@click.argument("selectors", nargs=-1, metavar="[SELECTOR]...")
@changes.since_option
@changes.key_option
@changes.limit_option
@list_options
@pass_app
def trail(
    app: App, *, selectors: tuple[str, ...], since: str, key: str, limit: int, output_format: str
) -> None:
    """Show what changed on devices, the newest first.

    Without selectors: on all devices.
    """
    start = moments.to_unix_ms(moments.since(since, app.now)) if since else 0
    request = wire.trail_pb2.ListTrailRequest(
        selectors=selectors, key_prefix=key, since_unix_ms=start, limit=limit
    )
    response: trail_pb2.ListTrailResponse = app.call("trail.ListTrail", request)
    changes.show(app, response, output_format)
    if not response.entries and (selectors or since or key):
        output.end_with_nothing()
