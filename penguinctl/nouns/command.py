"""penguinctl command: commands that were run on devices."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from penguinctl import order_choices
from penguinctl.app import App, pass_app
from penguinctl.listing import list_options
from penguinctl.nouns.order import show_list
from penguinctl.options import passphrase_option, reason_option, yes_option
from penguinctl.output import output_option
from penguinctl.watching import watch_option

if TYPE_CHECKING:
    from pathlib import Path

_KIND = "command"


@click.group()
def command() -> None:
    """Commands that were run on devices: see them, read what they printed, call them off.

    `penguinctl run` runs one. A command is named by its order's id, or by the beginning of it.
    """


@command.command(
    "list",
    epilog="""\b
Examples:
  penguinctl command list
  penguinctl command list --device web-1 --limit 10
  penguinctl command list --state running --state queued -o json
""",
)
@order_choices.list_options
@list_options
@pass_app
def list_(app: App, /, **wishes: Any) -> None:
    """List commands, the newest first."""
    show_list(app, kinds=(_KIND,), **wishes)


@command.command(
    epilog="""\b
Examples:
  penguinctl command show 01HZY3J5Q0G7X8K9M2N4P6R8ST
  penguinctl command show 01HZY3J5 --watch
"""
)
@click.argument("order_id", metavar="ORDER")
@watch_option
@output_option
@pass_app
def show(app: App, *, order_id: str, output_format: str) -> None:
    """Show a command, and how it ended on each device.

    VOUCHED says by whose word a state is known: yes is the device's own signed word, which is
    verified here, no is the server's alone. Ends with 7 if a receipt is forged.
    """
    from penguinctl import order_show  # noqa: PLC0415 -- --help stays quick

    order_show.show(app, order_id, output_format, _KIND)


@command.command(
    epilog="""\b
Examples:
  penguinctl command output 01HZY3J5Q0G7X8K9M2N4P6R8ST
  penguinctl command output 01HZY3J5 web-1 --stdout > report.tar
"""
)
@click.argument("order_id", metavar="ORDER")
@click.argument("device", required=False, default="", metavar="[DEVICE]")
@click.option("--stdout", "stream", flag_value="stdout", help="Only standard output.")
@click.option("--stderr", "stream", flag_value="stderr", help="Only standard error.")
@output_option
@pass_app
def output(app: App, *, order_id: str, device: str, stream: str | None, output_format: str) -> None:
    """Print what a command printed, on one device or on all.

    Of one device the bytes are printed as they were, unless a terminal shows them; of several, each
    line has the hostname in front. What was standard error goes to standard error.

    Ends with 8 if a device on which it ended has yet to send some of it.
    """
    from penguinctl import order_output  # noqa: PLC0415 -- --help stays quick

    streams = (stream,) if stream else order_output.STREAMS
    order_output.show(app, order_id, device, streams, output_format)


@command.command(
    epilog="""\b
Examples:
  penguinctl command cancel 01HZY3J5Q0G7X8K9M2N4P6R8ST
  penguinctl command cancel 01HZY3J5 web-1 'db-*' --reason "takes too long"
"""
)
@click.argument("order_id", metavar="ORDER")
@click.argument("selectors", nargs=-1, metavar="[SELECTOR]...")
@reason_option
@yes_option
@passphrase_option
@output_option
@pass_app
def cancel(
    app: App,
    *,
    order_id: str,
    selectors: tuple[str, ...],
    reason: str,
    yes: bool,
    passphrase_file: Path | None,
    output_format: str,
) -> None:
    """Call a command off, by your signature: end it where it runs, drop it where it waits.

    It waits shortly for what the devices say, and tells of each whether it was called off, had
    ended before, or has not been reached yet.
    """
    from penguinctl import cancelling  # noqa: PLC0415 -- --help stays quick

    manner = cancelling.Manner(reason, yes, passphrase_file, output_format)
    targets = cancelling.cancel(app, order_id, selectors, _KIND, manner)
    cancelling.answer(targets[0].order_id, targets, output_format)
