"""penguinctl device block and unblock: cut off, and let in again."""

from __future__ import annotations

import click

from penguinctl import output, ui, wire
from penguinctl.app import App, pass_app
from penguinctl.devices import find_one
from penguinctl.output import output_option
from penguindome.display import printable


@click.command(
    epilog="""\b
Examples:
  penguinctl device block web-1 --reason "was left in a taxi"
"""
)
@click.argument("device", metavar="DEVICE")
@click.option("--reason", required=True, help="Why; shown with the device, kept in the ledger.")
@output_option
@pass_app
def block(app: App, *, device: str, reason: str, output_format: str) -> None:
    """Cut a device off until it is unblocked; its connections end at once."""
    found = find_one(app, device, "active", "blocked")
    request = wire.device_pb2.BlockDeviceRequest(device_id=found.device_id, reason=reason)
    changed = app.call("device.BlockDevice", request).blocked
    value = {"device_id": found.device_id, "state": "blocked", "changed": changed}
    words = "Blocked" if changed else "Was blocked already:"
    text = f"{words} {printable(found.hostname)} ({found.device_id})."
    output.answer(output_format, value, lambda: ui.out(text))


@click.command(
    epilog="""\b
Examples:
  penguinctl device unblock web-1
  penguinctl device unblock d-abcdefghijklmnop --reason "restored from an image, looked at it"
"""
)
@click.argument("device", metavar="DEVICE")
@click.option("--reason", default="", help="Why; kept in the ledger.")
@output_option
@pass_app
def unblock(app: App, *, device: str, reason: str, output_format: str) -> None:
    """Let a blocked device in again.

    If the server blocked it because two machines use its identity, first make sure that only one
    is left: the next one that checks in is taken for the right one.
    """
    found = find_one(app, device, "blocked", "active")
    request = wire.device_pb2.UnblockDeviceRequest(device_id=found.device_id, reason=reason)
    changed = app.call("device.UnblockDevice", request).unblocked
    value = {"device_id": found.device_id, "state": "active", "changed": changed}
    words = "Unblocked" if changed else "Was not blocked:"
    text = f"{words} {printable(found.hostname)} ({found.device_id})."
    output.answer(output_format, value, lambda: ui.out(text))
