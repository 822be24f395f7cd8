"""penguinctl server: the server itself."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from penguinctl import listing, moments, output, overview_view, ui, view, wire
from penguinctl.app import App, pass_app
from penguinctl.listing import list_options

if TYPE_CHECKING:
    from collections.abc import Mapping

    from penguindome.v1 import server_pb2

_LISTENER_COLUMNS = (
    output.Column("LISTENER"),
    output.Column("KIND"),
    output.Column("LISTENS ON"),
    output.Column("ADVERTISED AS", shrinks=True),
    output.Column("CONNECTED"),
    output.Column("CERTIFICATE ENDS"),
)


@click.group()
def server() -> None:
    """The server itself."""


@server.command(
    epilog="""\b
Examples:
  penguinctl server status
  penguinctl server status -o json
  penguinctl server status --history --since 30d --columns time,connected_devices
"""
)
@click.option("--history", is_flag=True, help="How server and fleet were instead.")
@click.option("--since", default="", help="Of the history: a span or a date. [default: 7d]")
@list_options
@pass_app
def status(app: App, *, history: bool, since: str, output_format: str) -> None:
    """Show how the server is, and who you are to it; or how it was."""
    if history:
        _history(app, since or "7d", output_format)
        return
    if since or view.current().columns or view.current().sort:
        raise click.UsageError("--since, --columns and --sort go with --history")
    state: server_pb2.GetServerStatusResponse = app.call(
        "server.GetServerStatus", wire.server_pb2.GetServerStatusRequest()
    )
    me: server_pb2.GetSelfResponse = app.call("server.GetSelf", wire.server_pb2.GetSelfRequest())
    pinned = _pinned(app)
    output.answer(output_format, _json(state, me, pinned), lambda: _show(app, state, me, pinned))


def _history(app: App, since: str, output_format: str) -> None:
    start = moments.to_unix_ms(moments.since(since, app.now))
    request = wire.server_pb2.ListHistoryRequest(since_unix_ms=start)
    samples = list(app.call("server.ListHistory", request).samples)
    if not samples:
        output.nothing(output_format, "No samples: the server takes one each quarter of an hour.")
    listing.show(
        output_format,
        "samples",
        samples,
        overview_view.sample_json,
        blank=wire.server_pb2.HistorySample(),
        human=lambda items: overview_view.history(items, app.now),
    )


def _pinned(app: App) -> str | None:
    from penguinctl.trust_store import TrustStore  # noqa: PLC0415 -- --help stays quick

    store = TrustStore(app.folder)
    return store.pin().hex() if store.versions() else None


def _show(
    app: App,
    state: server_pb2.GetServerStatusResponse,
    me: server_pb2.GetSelfResponse,
    pinned: str | None,
) -> None:
    output.pairs(
        [
            ("Server", str(app.address)),
            ("Version", state.version),
            ("Fleet", state.fleet_id),
            ("Started", moments.local(state.started_unix_ms, app.now)),
            ("Clock", moments.local(state.time_unix_ms, app.now)),
            ("Connected devices", str(state.connected_devices)),
            ("Devices", _counts(state.devices)),
            ("Open issues", _counts(state.open_issues)),
            ("Database", state.database),
            ("Reports stored", str(state.reports_stored)),
            ("Last audit", moments.local(state.last_audit_unix_ms, app.now, never="none yet")),
            (
                "Certificate ends",
                moments.local(state.server_certificate_expires_unix_ms, app.now),
            ),
            ("Trust document", f"version {state.trust_version}" if state.trust_version else "none"),
            ("Pinned trust hash", pinned or "none"),
            ("You are", f"{me.name} ({output.words(me.roles)})"),
            ("Your certificate ends", moments.local(me.certificate_expires_unix_ms, app.now)),
        ]
    )
    output.table(_LISTENER_COLUMNS, [_row(app, one) for one in state.listeners])
    for problem in state.problems:
        ui.out(ui.Styled("Problem: ", "red"), problem)


def _row(app: App, one: server_pb2.Listener) -> list[str | ui.Styled]:
    from penguindome.channels import target  # noqa: PLC0415 -- --help stays quick

    return [
        one.name,
        ui.Styled(f"{one.kind}, deprecated", "yellow") if one.deprecated else one.kind,
        target(one.address, one.port),
        target(one.advertised_host, one.advertised_port),
        str(one.connected_devices),
        moments.local(one.certificate_expires_unix_ms, app.now),
    ]


def _listener(one: server_pb2.Listener) -> dict[str, Any]:
    return {
        "name": one.name,
        "kind": one.kind,
        "address": one.address,
        "port": one.port,
        "advertised_host": one.advertised_host,
        "advertised_port": one.advertised_port,
        "deprecated": one.deprecated,
        "certificate_expires_time": moments.iso(one.certificate_expires_unix_ms),
        "connected_devices": one.connected_devices,
    }


def _counts(counts: Mapping[str, int]) -> str:
    return output.words([f"{counts[name]} {name}" for name in sorted(counts)])


def _json(
    state: server_pb2.GetServerStatusResponse, me: server_pb2.GetSelfResponse, pinned: str | None
) -> dict[str, Any]:
    return {
        "version": state.version,
        "fleet_id": state.fleet_id,
        "started_time": moments.iso(state.started_unix_ms),
        "time": moments.iso(state.time_unix_ms),
        "connected_devices": state.connected_devices,
        "devices": {name: state.devices[name] for name in sorted(state.devices)},
        "open_issues": {name: state.open_issues[name] for name in sorted(state.open_issues)},
        "database": state.database,
        "reports_stored": state.reports_stored,
        "last_audit_time": moments.iso(state.last_audit_unix_ms),
        "server_certificate_expires_time": moments.iso(state.server_certificate_expires_unix_ms),
        "trust_version": state.trust_version,
        "pinned_trust_hash": pinned,
        "listeners": [_listener(one) for one in state.listeners],
        "problems": list(state.problems),
        "self": {
            "name": me.name,
            "roles": list(me.roles),
            "advertised_host": me.advertised_host,
            "certificate_expires_time": moments.iso(me.certificate_expires_unix_ms),
        },
    }
