"""What commands about orders can be asked for; light, so that --help stays quick."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from penguindome.orders.kinds import KINDS as _KINDS
from penguindome.orders.receipts import FINAL

if TYPE_CHECKING:
    from collections.abc import Callable

KINDS = tuple(_KINDS)
# What is neither the server's nor the device's last word.
UNFINISHED = ("waiting", "queued", "sent", "accepted", "running")
STATES = (*UNFINISHED, *FINAL)


def list_options(function: Callable[..., Any]) -> Callable[..., Any]:
    """Give a command that lists orders the options of each such list."""
    device = click.option("--device", default="", help="Only orders for this device.")
    states = click.option(
        "--state",
        "states",
        multiple=True,
        type=click.Choice(STATES),
        help="Only orders of which a device is in this state; may be repeated.",
    )
    limit = click.option(
        "--limit",
        type=click.IntRange(1, 1_000),
        default=100,
        show_default=True,
        help="At most so many.",
    )
    return device(states(limit(function)))
