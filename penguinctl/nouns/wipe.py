"""penguinctl wipe: destroy what is on a device; by default only say what that would be."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from penguinctl.app import App, pass_app
from penguinctl.options import passphrase_option, reason_option, yes_option
from penguinctl.output import output_option
from penguinctl.watching import watch_option
from penguindome.orders.bodies import WIPE_LEVELS

if TYPE_CHECKING:
    from pathlib import Path

    from click.shell_completion import CompletionItem

_DEFAULT = "device"


class _Wipe(click.Group):
    """A group in which a device's name stands for the verb that wipes it."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """Put the verb in front of what is no verb."""
        if args and args[0] not in {*self.commands, *ctx.help_option_names}:
            args = [_DEFAULT, *args]
        return super().parse_args(ctx, args)

    def shell_complete(self, ctx: click.Context, incomplete: str) -> list[CompletionItem]:
        """Return verbs, and what may stand in the place of one."""
        found = super().shell_complete(ctx, incomplete)
        verb = self.commands[_DEFAULT]
        if incomplete.startswith("-"):
            return [*found, *verb.shell_complete(ctx, incomplete)]
        return [*found, *verb.params[0].shell_complete(ctx, incomplete)]


@click.group(
    cls=_Wipe,
    subcommand_metavar="DEVICE [OPTIONS] | COMMAND [ARGS]...",
    epilog="""\b
Examples:
  penguinctl wipe web-1
  penguinctl wipe status web-1
""",
)
def wipe() -> None:
    """Wipe a device: destroy what is on it. Without --for-real it only says what would be done.

    `penguinctl wipe DEVICE` is short for `penguinctl wipe device DEVICE`; its options stand in
    `penguinctl wipe device --help`.
    """


@wipe.command(
    epilog="""\b
Examples:
  penguinctl wipe web-1
  penguinctl wipe web-1 --level erase-homes
  penguinctl wipe web-1 --level crypto-erase --for-real --reason "stolen, ticket 17"
"""
)
@click.argument("device", metavar="DEVICE")
@click.option(
    "--level",
    type=click.Choice(WIPE_LEVELS),
    default="lock",
    show_default=True,
    help="lock: nobody can log in; erase-homes: also erase home folders, delete accounts;"
    " crypto-erase: also destroy the keys of encrypted volumes.",
)
@click.option("--for-real", is_flag=True, help="Do it. Without this, it is a dry run.")
@click.option(
    "--confirm",
    "confirmation",
    default="",
    metavar='"ID HOSTNAME"',
    help="With --for-real, instead of typing them: the device's id and hostname.",
)
@click.option("--no-reboot", is_flag=True, help="Leave the machine running in the end.")
@click.option("--ttl", default="30d", show_default=True, help="How long a device may get it.")
@reason_option
@click.option("--wait", is_flag=True, help="Wait for a device that is offline, too.")
@yes_option
@passphrase_option
@output_option
@pass_app
def device(app: App, /, *, device: str, output_format: str, **wishes: Any) -> None:
    """Say what a wipe would do to a device; with --for-real, do it.

    For real, the device's id and hostname have to be typed, and as soon as the trust document asks
    for two signatures another operator has to approve it. It is told as done only on the device's
    own signed receipt.

    Ends with 0 if it was done, with 1 if it ended otherwise, and with 8 if the device, or a further
    signature, is still waited for.
    """
    from penguinctl import wiping  # noqa: PLC0415 -- --help stays quick

    asked = wiping.Wishes(**wishes)
    if asked.for_real and asked.yes:
        raise click.UsageError("--yes is not for this: give --confirm with id and hostname")
    if asked.confirmation and not asked.for_real:
        raise click.UsageError("--confirm is for --for-real")
    wiping.wipe(app, device, asked, output_format)


@wipe.command(epilog="\b\nExample:\n  penguinctl wipe status web-1\n")
@click.argument("device", metavar="DEVICE")
@watch_option
@output_option
@pass_app
def status(app: App, *, device: str, output_format: str) -> None:
    """Show how far the newest wipe of a device is, or what its newest dry run said.

    Ends as `wipe DEVICE` does, and with 7 if the device's receipt is forged.
    """
    from penguinctl import wiping  # noqa: PLC0415 -- --help stays quick

    wiping.status(app, device, output_format)


@wipe.command(epilog='\b\nExample:\n  penguinctl wipe cancel web-1 --reason "was found"\n')
@click.argument("device", metavar="DEVICE")
@reason_option
@yes_option
@passphrase_option
@output_option
@pass_app
def cancel(
    app: App,
    *,
    device: str,
    reason: str,
    yes: bool,
    passphrase_file: Path | None,
    output_format: str,
) -> None:
    """Call off a device's wipes that have not begun, by your signature alone."""
    from penguinctl import cancelling, wiping  # noqa: PLC0415 -- --help stays quick

    wiping.cancel(app, device, cancelling.Manner(reason, yes, passphrase_file, output_format))
