"""penguinctl order: what operators signed, and what devices say became of it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from penguinctl import listing, order_choices, output, ui, wire
from penguinctl.app import App, pass_app
from penguinctl.listing import list_options
from penguinctl.options import passphrase_option, yes_option
from penguinctl.output import output_option
from penguinctl.watching import watch_option

if TYPE_CHECKING:
    from pathlib import Path

    from penguindome.v1 import order_pb2


@click.group()
def order() -> None:
    """Orders: what operators signed, and what devices say became of it.

    An order is named by its id, or by the beginning of it.
    """


@order.command(
    "list",
    epilog="""\b
Examples:
  penguinctl order list
  penguinctl order list --waiting
  penguinctl order list --kind wipe --kind wipe-plan
  penguinctl order list --device web-1 --state failed -o json
""",
)
@click.option(
    "--kind",
    "kinds",
    multiple=True,
    type=click.Choice(order_choices.KINDS),
    help="Only this kind; may be repeated.",
)
@click.option("--waiting", is_flag=True, help="Only orders that need further signatures.")
@order_choices.list_options
@list_options
@pass_app
def list_(app: App, /, *, kinds: tuple[str, ...], waiting: bool, **wishes: Any) -> None:
    """List orders, the newest first."""
    show_list(app, kinds=kinds, waiting=waiting, **wishes)


def show_list(
    app: App,
    *,
    kinds: tuple[str, ...],
    device: str,
    states: tuple[str, ...],
    limit: int,
    output_format: str,
    waiting: bool = False,
) -> None:
    """Print the orders that are asked for."""
    from penguinctl import order_view  # noqa: PLC0415 -- --help stays quick

    request = wire.order_pb2.ListOrdersRequest(
        kinds=kinds, device=device, states=states, only_waiting=waiting, limit=limit
    )
    found: list[order_pb2.Order] = list(app.call("order.ListOrders", request).orders)
    if not found:
        output.nothing(output_format, "No matching orders.")
    listing.show(
        output_format,
        "orders",
        found,
        order_view.order_json,
        blank=wire.order_pb2.Order(),
        human=lambda items: order_view.table(app, items),
    )
    if not found and (device or states or waiting):
        output.end_with_nothing()


@order.command(
    epilog="""\b
Examples:
  penguinctl order show 01HZY3J5Q0G7X8K9M2N4P6R8ST
  penguinctl order show 01HZY3J5 -o json
"""
)
@click.argument("order_id", metavar="ORDER")
@watch_option
@output_option
@pass_app
def show(app: App, *, order_id: str, output_format: str) -> None:
    """Show what was signed and by whom, and what each device says became of it.

    The signatures and the devices' receipts are verified here. VOUCHED says by whose word a state
    is known: yes is the device's own, no is the server's alone. Ends with 7 if a receipt is forged.
    """
    from penguinctl import order_show  # noqa: PLC0415 -- --help stays quick

    order_show.show(app, order_id, output_format)


@order.command(
    epilog="""\b
Examples:
  penguinctl order approve 01HZY3J5Q0G7X8K9M2N4P6R8ST
  penguinctl order approve 01HZY3J5Q0G7X8K9M2N4P6R8ST --yes
  penguinctl order approve 01HZY3J5Q0G7X8K9M2N4P6R8ST --confirm "d-abcdefghijklmnop web-1"
"""
)
@click.argument("order_id", metavar="ORDER")
@click.option(
    "--confirm",
    "confirmation",
    default="",
    metavar='"ID HOSTNAME"',
    help="For a wipe, instead of typing them: the device's id and hostname.",
)
@yes_option
@passphrase_option
@output_option
@pass_app
def approve(
    app: App,
    *,
    order_id: str,
    confirmation: str,
    yes: bool,
    passphrase_file: Path | None,
    output_format: str,
) -> None:
    """Add your signature to an order that waits for it.

    What is shown, and signed, are the bytes that the other operator signed; their signature is
    verified here first.
    """
    from penguinctl import order_approval, order_view  # noqa: PLC0415 -- --help stays quick

    asks = order_approval.Asking(yes, confirmation)
    found = order_approval.approve(app, order_id, asks, passphrase_file)
    left = found.missing_signatures
    said = f"Signed. {left} more needed." if left else "Signed. Devices get it from now on."
    output.answer(
        output_format, order_view.order_json(found), lambda: ui.out(f"{found.order_id}: {said}")
    )


@order.command(
    epilog="""\b
Examples:
  penguinctl order withdraw 01HZY3J5Q0G7X8K9M2N4P6R8ST
  penguinctl order withdraw 01HZY3J5 --reason "wrong host"
"""
)
@click.argument("order_id", metavar="ORDER")
@click.option("--reason", default="", help="Why; shown with the order, kept in the ledger.")
@output_option
@pass_app
def withdraw(app: App, *, order_id: str, reason: str, output_format: str) -> None:
    """Take an order back from all devices that have not been sent it yet.

    It needs no signature. What a device has already got is called off by a signed cancellation:
    see `penguinctl command cancel`, `patch cancel` and `wipe cancel`.
    """
    from penguinctl import order_show, order_view  # noqa: PLC0415 -- --help stays quick

    full = order_show.fetch(app, order_id).payload.id
    request = wire.order_pb2.WithdrawOrderRequest(order_id=full, reason=reason)
    response: order_pb2.WithdrawOrderResponse = app.call("order.WithdrawOrder", request)
    value = order_view.order_json(response.order) | {"withdrawn": response.withdrawn}
    devices = "1 device" if response.withdrawn == 1 else f"{response.withdrawn:,} devices"
    said = f"Withdrawn from {devices}; now: {order_view.counted(response.order.targets_by_state)}."
    output.answer(output_format, value, lambda: ui.out(said))
