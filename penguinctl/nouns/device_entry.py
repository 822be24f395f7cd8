"""penguinctl device approve, revoke and delete: who is in the fleet."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from penguinctl import moments, output, ui, wire
from penguinctl.app import App, pass_app
from penguinctl.devices import find_one
from penguinctl.options import passphrase_option, reason_option, yes_option
from penguinctl.output import output_option
from penguindome.display import printable
from penguindome.errors import PreconditionFailed

if TYPE_CHECKING:
    from pathlib import Path

    from penguindome.v1 import device_pb2

# 48 bits: who can make keys until 32 bits fit, as a hostile server can in seconds, gets no further.
PREFIX_LENGTH = 12


@click.command(
    epilog="""\b
Examples:
  penguinctl device approve web-1
  penguinctl device approve d-abcdefghijklmnop --yes
"""
)
@click.argument("device", metavar="DEVICE")
@reason_option
@yes_option
@passphrase_option
@output_option
@pass_app
def approve(
    app: App,
    *,
    device: str,
    reason: str,
    yes: bool,
    passphrase_file: Path | None,
    output_format: str,
) -> None:
    """Let a waiting device in, by your signature on its key.

    Compare the fingerprint with the one that `penguin-agent status` shows on the device.
    """
    from penguinctl import approval  # noqa: PLC0415 -- --help stays quick

    found = find_one(app, device, "pending")
    _introduce(app, found)
    if not yes:
        _confirm_fingerprint(found)
    request = wire.device_pb2.ApproveDeviceRequest(
        device_id=found.device_id, approval=approval.signed(app, found, reason, passphrase_file)
    )
    app.call("device.ApproveDevice", request)
    _answer(output_format, found, "active", "Approved")


def _introduce(app: App, found: device_pb2.Device) -> None:
    rows = [
        ("Device", found.device_id),
        ("Hostname", found.hostname),
        ("System", found.os_name or "-"),
        ("Address", found.peer_address or "-"),
        ("Waiting since", moments.local(found.enrolled_unix_ms, app.now)),
        ("Same hardware as", output.words(found.same_hardware)),
        ("Key fingerprint", found.key_fingerprint),
    ]
    for name, value in rows:
        ui.note(f"{name}: {printable(value)}")


def _confirm_fingerprint(found: device_pb2.Device) -> None:
    typed = ui.ask(f"Type the first {PREFIX_LENGTH} digits of the device's fingerprint:")
    typed = typed.replace(":", "").replace(" ", "").lower()
    if len(typed) < PREFIX_LENGTH or not found.key_fingerprint.startswith(typed):
        raise _not_confirmed(found, "what was typed is not the fingerprint")


def _not_confirmed(found: device_pb2.Device, reason: str) -> PreconditionFailed:
    return PreconditionFailed(
        reason, subject=found.device_id, code="not-confirmed", remedy="Nothing was done"
    )


@click.command(
    epilog="""\b
Examples:
  penguinctl device revoke web-1 --reason "laptop was stolen"
  penguinctl device revoke d-abcdefghijklmnop --yes
"""
)
@click.argument("device", metavar="DEVICE")
@click.option("--reason", default="", help="Why; kept in the ledger.")
@yes_option
@output_option
@pass_app
def revoke(
    app: App,
    *,
    device: str,
    reason: str,
    yes: bool,
    output_format: str,
) -> None:
    """End a device's identity for good; its connection ends at once.

    A waiting device is refused by its id. At a terminal you are asked first.
    """
    found = find_one(app, device, "active", "pending", "blocked")
    if not yes and ui.interactive():
        _confirm_name(found, "end the identity of")
    request = wire.device_pb2.RevokeDeviceRequest(device_id=found.device_id, reason=reason)
    app.call("device.RevokeDevice", request)
    _answer(output_format, found, "revoked", "Revoked")


@click.command(
    epilog="""\b
Examples:
  penguinctl device delete d-abcdefghijklmnop
  penguinctl device delete web-1 --yes
"""
)
@click.argument("device", metavar="DEVICE")
@yes_option
@output_option
@pass_app
def delete(
    app: App,
    *,
    device: str,
    yes: bool,
    output_format: str,
) -> None:
    """Delete a revoked device and its data; trail and ledger stay."""
    found = find_one(app, device, "revoked")
    if not yes:
        _confirm_name(found, "delete all data of")
    app.call("device.DeleteDevice", wire.device_pb2.DeleteDeviceRequest(device_id=found.device_id))
    _answer(output_format, found, "deleted", "Deleted")


def _confirm_name(found: device_pb2.Device, act: str) -> None:
    shown = printable(found.hostname)
    typed = ui.ask(f"To {act} {shown} ({found.device_id}), type its hostname or id:")
    if typed not in (shown, found.device_id):
        raise _not_confirmed(found, "what was typed is not its hostname")


def _answer(output_format: str, found: device_pb2.Device, state: str, verb: str) -> None:
    value = {"device_id": found.device_id, "hostname": found.hostname, "state": state}
    text = f"{verb} {printable(found.hostname)} ({found.device_id})."
    output.answer(output_format, value, lambda: ui.out(text))
