"""Entries of the audit trail, for the commands that show them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from penguinctl import listing, moments, output, ui, wire
from penguinctl.output import Column

if TYPE_CHECKING:
    from collections.abc import Sequence

    from penguinctl.app import App
    from penguindome.v1 import trail_pb2

since_option = click.option(
    "--since", default="", metavar="WHEN", help="Only since then: 90m, 3d, 2026-11-25."
)
key_option = click.option(
    "--key", default="", metavar="PREFIX", help="Only keys that start so: plugins.firewall."
)
limit_option = click.option(
    "--limit",
    type=click.IntRange(1, 10_000),
    default=100,
    show_default=True,
    help="At most so many.",
)


def show(app: App, response: trail_pb2.ListTrailResponse, output_format: str) -> None:
    """Print entries, the newest first, and whether there are older ones."""
    if not response.entries:
        output.nothing(output_format, "No matching changes.")
    listing.show(
        output_format,
        "entries",
        response.entries,
        _json,
        blank=wire.trail_pb2.TrailEntry(),
        human=lambda entries: _table(app, entries),
        beside={"more": response.more},
    )
    if response.more:
        ui.note("There are older changes; raise --limit to see them.")


def _table(app: App, entries: Sequence[trail_pb2.TrailEntry]) -> None:
    if not entries:
        return
    columns = (
        Column("RECEIVED"),
        Column("DEVICE", shrinks=True),
        Column("TYPE"),
        Column("KEY", shrinks=True),
        Column("OLD", shrinks=True),
        Column("NEW", shrinks=True),
    )
    rows = [
        (
            moments.short(entry.received_unix_ms, app.now),
            entry.hostname or entry.device_id,
            entry.type,
            entry.key,
            output.compact(entry.old_json) if entry.old_json else "-",
            output.compact(entry.new_json) if entry.new_json else "-",
        )
        for entry in entries
    ]
    output.table(columns, rows)


def _json(entry: trail_pb2.TrailEntry) -> dict[str, Any]:
    return {
        "entry_id": entry.entry_id,
        "device_id": entry.device_id,
        "hostname": entry.hostname,
        "received_time": moments.iso(entry.received_unix_ms),
        "collected_time": moments.iso(entry.collected_unix_ms),
        "type": entry.type,
        "key": entry.key,
        "old": output.loaded(entry.old_json),
        "new": output.loaded(entry.new_json),
    }
