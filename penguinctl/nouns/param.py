"""penguinctl param: values that operators set on devices."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from penguinctl import listing, moments, output, ui, wire
from penguinctl.app import App, pass_app
from penguinctl.devices import ALL_STATES, find_one
from penguinctl.listing import list_options
from penguinctl.output import Column, output_option
from penguindome.display import printable
from penguindome.errors import PreconditionFailed
from penguindome.ids import is_device_id

if TYPE_CHECKING:
    from collections.abc import Sequence

    from penguindome.v1 import parameter_pb2

LINKS = "user_clients"
NAMES = (LINKS, "user_email")
_SETTABLE = ("active", "pending", "blocked")
_COLUMNS = (Column("HOSTNAME", shrinks=True), Column("PARAMETER"), Column("VALUE", shrinks=True))

name_argument = click.argument("name", type=click.Choice(NAMES))


@click.group()
def param() -> None:
    """Parameters of devices: the user's mail address, and the user's other devices.

    user_email is one mail address. user_clients links the devices of one person: each lists all
    others, and nobody is told that one is silent while another one reports.
    """


@param.command(
    "list",
    epilog="""\b
Examples:
  penguinctl param list
  penguinctl param list label:sales --name user_email
""",
)
@click.argument("selectors", nargs=-1, metavar="[SELECTOR]...")
@click.option(
    "--name",
    "names",
    multiple=True,
    type=click.Choice(NAMES),
    help="Only this parameter; repeatable.",
)
@list_options
@pass_app
def list_(
    app: App, *, selectors: tuple[str, ...], names: tuple[str, ...], output_format: str
) -> None:
    """List what is set, also on devices that were deleted since."""
    found = _find(app, selectors, names)
    if not found:
        ui.note("No parameters are set.")
    listing.show(
        output_format,
        "parameters",
        found,
        _json,
        blank=wire.parameter_pb2.Parameter(),
        human=_table,
    )
    if not found and (selectors or names):
        output.end_with_nothing()


def _find(
    app: App, selectors: Sequence[str], names: Sequence[str]
) -> list[parameter_pb2.Parameter]:
    request = wire.parameter_pb2.ListParametersRequest(selectors=selectors, names=names)
    return list(app.call("parameter.ListParameters", request).parameters)


def _table(found: Sequence[parameter_pb2.Parameter]) -> None:
    if found:
        rows = [
            (
                f"{item.hostname} (deleted)" if item.device_deleted else item.hostname,
                item.name,
                ", ".join(_values(item)),
            )
            for item in found
        ]
        output.table(_COLUMNS, rows)


def _values(item: parameter_pb2.Parameter) -> list[str]:
    return list(item.hostnames or item.values)


def _json(item: parameter_pb2.Parameter) -> dict[str, Any]:
    return {
        "hostname": item.hostname,
        "device_id": item.device_id,
        "name": item.name,
        "values": list(item.values),
        "hostnames": list(item.hostnames),
        "set_by": item.set_by,
        "set_time": moments.iso(item.set_unix_ms),
        "device_deleted": item.device_deleted,
    }


@param.command(
    "set",
    epilog="""\b
Examples:
  penguinctl param set web-1 user_email ann@example.com
  penguinctl param set laptop-7 user_clients desktop-7 tablet-7
""",
)
@click.argument("hostname")
@name_argument
@click.argument("values", nargs=-1, required=True, metavar="VALUE...")
@output_option
@pass_app
def set_(
    app: App, *, hostname: str, name: str, values: tuple[str, ...], output_format: str
) -> None:
    """Set a parameter of a device, named by its hostname or id.

    user_clients takes hostnames or ids and makes the device and these one group, whose members list
    each other. Whoever was linked with the device and is not named any more has no links then.
    """
    device = find_one(app, hostname, *_SETTABLE)
    if name == LINKS:
        values = tuple(find_one(app, value, *_SETTABLE).device_id for value in values)
    request = wire.parameter_pb2.SetParameterRequest(
        device_id=device.device_id, name=name, values=values
    )
    response: parameter_pb2.SetParameterResponse = app.call("parameter.SetParameter", request)
    value = {
        "changed": response.changed,
        "before": list(response.before),
        "parameters": [_json(item) for item in response.parameters],
    }
    output.answer(output_format, value, lambda: _said(device.device_id, response))


def _said(device_id: str, response: parameter_pb2.SetParameterResponse) -> None:
    if not response.changed:
        ui.out("No changes.")
        return
    for item in sorted(response.parameters, key=lambda item: item.device_id != device_id):
        what = f"{item.name} of {printable(item.hostname)}"
        now = printable(", ".join(_values(item)))
        if item.device_id == device_id and response.before:
            ui.out(f"Changed {what} from {printable(', '.join(response.before))} to {now}.")
        else:
            ui.out(f"Set {what} to {now}.")


@param.command(epilog="\b\nExample:\n  penguinctl param unset web-1 user_email\n")
@click.argument("hostname")
@name_argument
@output_option
@pass_app
def unset(app: App, *, hostname: str, name: str, output_format: str) -> None:
    """Unset a parameter of a device, also of one that was deleted.

    Unsetting user_clients takes the device out of its group.
    """
    device_id = _owner(app, hostname, name)
    request = wire.parameter_pb2.UnsetParameterRequest(device_id=device_id, name=name)
    changed: bool = app.call("parameter.UnsetParameter", request).changed
    text = f"Unset {name} of {printable(hostname)}." if changed else "No changes."
    output.answer(output_format, {"device_id": device_id, "changed": changed}, lambda: ui.out(text))


def _owner(app: App, term: str, name: str) -> str:
    """Return the id of the device that has the parameter; of several, the one that still exists."""
    if is_device_id(term):
        return term
    found = [item for item in _find(app, (), [name]) if item.hostname.lower() == term.lower()]
    existing = [item for item in found if not item.device_deleted]
    if not found:
        return find_one(app, term, *ALL_STATES).device_id
    chosen = existing or found
    if len(chosen) > 1:
        raise PreconditionFailed(
            f"several devices have that name: {', '.join(item.device_id for item in chosen)}",
            subject=term,
            code="ambiguous-device",
            remedy="Nothing was done; give the id of the one that you mean",
        )
    return chosen[0].device_id
