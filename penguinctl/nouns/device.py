"""penguinctl device: look at devices."""

from __future__ import annotations

import fnmatch
import json
from typing import TYPE_CHECKING, Any

import click

from penguinctl import changes, device_view, listing, moments, output, ui, wire
from penguinctl.app import App, pass_app
from penguinctl.devices import ALL_STATES, find
from penguinctl.listing import list_options
from penguinctl.nouns import device_block, device_change, device_entry
from penguinctl.output import output_option
from penguinctl.watching import watch_option
from penguindome.errors import NotFound
from penguindome.ids import is_device_id

if TYPE_CHECKING:
    from penguindome.v1 import device_pb2, trail_pb2


@click.group()
def device() -> None:
    """Devices: see them, let them in, send them away.

    A device is named by its id, or by its hostname where only one has it.
    """


@device.command(
    "list",
    epilog="""\b
Examples:
  penguinctl device list
  penguinctl device list 'web-*' label:sales
  penguinctl device list failing:firewall-disabled -o json
  penguinctl device list --state revoked
  penguinctl device list --columns hostname,os_name --sort -last_report_time -o csv
  penguinctl device list --watch
""",
)
@click.argument("selectors", nargs=-1, metavar="[SELECTOR]...")
@click.option(
    "--state",
    "states",
    multiple=True,
    type=click.Choice(ALL_STATES),
    help="Only these states; may be repeated. [default: all but revoked]",
)
@list_options
@pass_app
def list_(
    app: App, *, selectors: tuple[str, ...], states: tuple[str, ...], output_format: str
) -> None:
    """List devices by hostname."""
    found = find(app, selectors, states)
    if not found:
        output.nothing(output_format, "No matching devices.")
    listing.show(
        output_format,
        "devices",
        found,
        device_view.to_json,
        blank=wire.device_pb2.Device(),
        human=lambda items: device_view.table(app, items),
    )
    if not found and (selectors or states):
        output.end_with_nothing()


@device.command(
    epilog="""\b
Examples:
  penguinctl device show web-1
  penguinctl device show d-abcdefghijklmnop --plugin firewall
  penguinctl device show web-1 --plugin '*'
"""
)
@click.argument("device", metavar="DEVICE")
@click.option(
    "--plugin",
    "plugins",
    multiple=True,
    help="Show what this plugin printed, too; patterns work: '*'.",
)
@watch_option
@output_option
@pass_app
def show(app: App, device: str, plugins: tuple[str, ...], output_format: str) -> None:
    """Show one device and its plugins' outputs."""
    request = wire.device_pb2.GetDeviceRequest(device=device)
    response: device_pb2.GetDeviceResponse = app.call("device.GetDevice", request)
    names = [item.name for item in response.outputs]
    missing = [plugin for plugin in plugins if not fnmatch.filter(names, plugin)]
    wanted = [item for item in response.outputs if not plugins or _named(item.name, plugins)]
    if missing:
        raise NotFound(
            "the device has no such output",
            subject=", ".join(sorted(missing)),
            remedy=f"penguinctl device show {device} lists those there are",
        )
    value = {
        "device": device_view.to_json(response.device),
        "outputs": [device_view.output_json(item) for item in wanted],
    }
    output.answer(output_format, value, lambda: _show(app, response, wanted, with_values=plugins))


def _named(name: str, patterns: tuple[str, ...]) -> bool:
    return any(fnmatch.fnmatchcase(name, pattern) for pattern in patterns)


def _show(
    app: App,
    response: device_pb2.GetDeviceResponse,
    wanted: list[device_pb2.DeviceOutput],
    *,
    with_values: tuple[str, ...],
) -> None:
    device_view.facts(app, response.device)
    if wanted:
        ui.out()
        device_view.outputs_table(app, wanted)
    for item in (item for item in wanted if with_values and item.json):
        ui.out()
        ui.out(ui.Styled(item.name, "bold"))
        ui.out(json.dumps(output.loaded(item.json), indent=2, ensure_ascii=False))


@device.command(
    epilog="""\b
Examples:
  penguinctl device history web-1
  penguinctl device history d-abcdefghijklmnop --since 2026-01-31 --key plugins.users
"""
)
@click.argument("device", metavar="DEVICE")
@changes.since_option
@changes.key_option
@changes.limit_option
@list_options
@pass_app
def history(app: App, /, *, device: str, output_format: str, **wishes: Any) -> None:
    """Show what changed on one device; by id also on one that was deleted."""
    request = _history_request(app, device, **wishes)
    response: trail_pb2.ListTrailResponse = app.call("trail.ListTrail", request)
    changes.show(app, response, output_format)
    if not response.entries:
        output.end_with_nothing()


def _history_request(
    app: App, device: str, *, since: str, key: str, limit: int
) -> trail_pb2.ListTrailRequest:
    start = moments.to_unix_ms(moments.since(since, app.now)) if since else 0
    if not is_device_id(device):
        request = wire.device_pb2.GetDeviceRequest(device=device)
        device = app.call("device.GetDevice", request).device.device_id
    return wire.trail_pb2.ListTrailRequest(
        device_id=device, key_prefix=key, since_unix_ms=start, limit=limit
    )


device.add_command(device_entry.approve)
device.add_command(device_entry.revoke)
device.add_command(device_entry.delete)
device.add_command(device_block.block)
device.add_command(device_block.unblock)
device.add_command(device_change.label)
device.add_command(device_change.collect)
