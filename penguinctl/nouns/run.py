"""penguinctl run: a command on devices, now, with its output."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from penguinctl.app import App, pass_app
from penguinctl.options import passphrase_option, signed_reason_option, user_option, yes_option
from penguinctl.output import output_option

if TYPE_CHECKING:
    from collections.abc import Sequence

_WORDS = "penguinctl.run.words"


class _Run(click.Command):
    """A command whose last words are another program's."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """Keep what follows -- apart, before anything looks at it."""
        place = args.index("--") if "--" in args else len(args)
        ctx.meta[_WORDS] = tuple(args[place + 1 :])
        return super().parse_args(ctx, args[:place])

    def collect_usage_pieces(self, ctx: click.Context) -> list[str]:
        """Say where the command stands."""
        return [*super().collect_usage_pieces(ctx), "-- COMMAND [ARGUMENT]..."]


@click.command(
    cls=_Run,
    epilog="""\b
Examples:
  penguinctl run web-1 -- uptime
  penguinctl run 'web-*' label:sales -- 'df -h / | tail -1'
  penguinctl run web-1 -- systemctl restart nginx
  penguinctl run label:sales --file fix.sh --timeout 5m --reason "ticket 17"
  penguinctl run web-1 --detach --yes -- apt-get -y upgrade
""",
)
@click.argument("selectors", nargs=-1, required=True, metavar="SELECTOR...")
@click.option("--name", default="", help="A word for it. [default: the program's or file's name]")
@click.option(
    "--file",
    "script",
    type=click.Path(path_type=Path, exists=True, dir_okay=False),
    help="Run this script, which begins with #!; what follows -- are its arguments.",
)
@user_option("The account that it runs as.")
@click.option("--timeout", default="10m", show_default=True, help="After which it is ended: 90s.")
@click.option(
    "--ttl", default="1d", show_default=True, help="How long devices that are away may get it: 3d."
)
@signed_reason_option("Why; stands in what you sign, and in the history.")
@click.option(
    "--output-limit",
    type=click.IntRange(0, 64),
    default=16,
    show_default=True,
    metavar="MIB",
    help="How much of standard output, and of standard error, is kept for each device.",
)
@click.option("--wait", is_flag=True, help="Wait for devices that are offline, too.")
@click.option("--detach", is_flag=True, help="Do not wait at all.")
@yes_option
@passphrase_option
@output_option
@pass_app
def run(app: App, /, *, selectors: tuple[str, ...], output_format: str, **wishes: Any) -> None:
    """Run a command on devices, by your signature, and show what it prints.

    One word after -- is a line for /bin/sh -c; several are a program and its arguments, which no
    shell looks at. Devices that are offline get it when they connect, until --ttl is over. Ctrl-C
    ends the watching, not the command.

    With -o json, yaml or csv the results are printed at the end, with -o ndjson each event at once.

    Ends with 0 if it succeeded everywhere, with 1 if it ended otherwise somewhere, and with 8 if
    devices, or further signatures, are still waited for.
    """
    from penguinctl import running  # noqa: PLC0415 -- --help stays quick

    words: Sequence[str] = click.get_current_context().meta[_WORDS]
    script = wishes.pop("script")
    if not words and script is None:
        raise click.UsageError("give a command after --, or a script with --file")
    program = running.Program(tuple(words), script)
    running.run(app, selectors, program, running.Wishes(**wishes), output_format)
