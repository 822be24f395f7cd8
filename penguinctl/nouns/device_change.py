"""penguinctl device label and collect: what can be undone or repeated."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from penguinctl import exits, listing, output, ui, wire
from penguinctl.app import App, pass_app
from penguinctl.devices import find_some
from penguinctl.output import output_option
from penguinctl.progress import over
from penguindome.display import printable

if TYPE_CHECKING:
    from collections.abc import Sequence

    from penguindome.v1 import device_pb2


@click.command(
    epilog="""\b
Examples:
  penguinctl device label web-1 --add production
  penguinctl device label 'web-*' --add production --remove staging
"""
)
@click.argument("selectors", nargs=-1, required=True, metavar="SELECTOR...")
@click.option("--add", multiple=True, metavar="LABEL", help="Add it; may be repeated.")
@click.option("--remove", multiple=True, metavar="LABEL", help="Remove it; may be repeated.")
@output_option
@pass_app
def label(
    app: App,
    *,
    selectors: tuple[str, ...],
    add: tuple[str, ...],
    remove: tuple[str, ...],
    output_format: str,
) -> None:
    """Add and remove labels of active and blocked devices."""
    if not add and not remove:
        raise click.UsageError("give --add or --remove")
    found = find_some(app, selectors, ("active", "blocked"))
    done = over("Labelling devices", found, lambda item: (item, _label(app, item, add, remove)))
    listing.show(
        output_format,
        "devices",
        done,
        lambda each: _identified(each[0]) | {"labels": each[1]},
        blank=(wire.device_pb2.Device(), []),
        human=_labelled,
    )


def _label(
    app: App, item: device_pb2.Device, add: tuple[str, ...], remove: tuple[str, ...]
) -> list[str]:
    request = wire.device_pb2.LabelDeviceRequest(device_id=item.device_id, add=add, remove=remove)
    return list(app.call("device.LabelDevice", request).labels)


def _identified(item: device_pb2.Device) -> dict[str, Any]:
    return {"device_id": item.device_id, "hostname": item.hostname}


def _labelled(done: Sequence[tuple[device_pb2.Device, list[str]]]) -> None:
    for item, labels in done:
        ui.out(f"{printable(item.hostname)} ({item.device_id}): {output.words(labels)}")


@click.command(
    epilog="""\b
Examples:
  penguinctl device collect web-1
  penguinctl device collect label:sales --plugin firewall
"""
)
@click.argument("selectors", nargs=-1, required=True, metavar="SELECTOR...")
@click.option("--plugin", "plugins", multiple=True, help="Only this plugin; may be repeated.")
@output_option
@pass_app
def collect(
    app: App, *, selectors: tuple[str, ...], plugins: tuple[str, ...], output_format: str
) -> None:
    """Ask devices to collect now.

    Ends with 6 if a device is not connected; it collects by itself when it is back.
    """
    found = find_some(app, selectors)
    done = over("Asking devices", found, lambda item: (item, _collect(app, item, plugins)))
    listing.show(
        output_format,
        "devices",
        done,
        lambda each: _identified(each[0]) | {"delivered": each[1]},
        blank=(wire.device_pb2.Device(), False),
        human=_collected,
    )
    if not all(heard for _, heard in done):
        raise click.exceptions.Exit(exits.CONFLICT)


def _collect(app: App, item: device_pb2.Device, plugins: tuple[str, ...]) -> bool:
    request = wire.device_pb2.CollectDeviceRequest(device_id=item.device_id, plugins=plugins)
    return bool(app.call("device.CollectDevice", request).delivered)


def _collected(done: Sequence[tuple[device_pb2.Device, bool]]) -> None:
    for item, heard in done:
        words = "asked to collect" if heard else "not connected"
        ui.out(f"{printable(item.hostname)} ({item.device_id}): {words}")
