"""penguind: the command line of the server."""

from __future__ import annotations

import difflib
import importlib
import os
import sys
from pathlib import Path
from typing import NoReturn

import click

from penguind.environment import forget_foreign_settings
from penguindome.display import printable
from penguindome.errors import PenguinDomeError

_COMMANDS = {
    "setup": "penguind.cli_setup:setup",
    "run": "penguind.cli_run:run",
    "check-config": "penguind.cli_run:check_config",
    "operator": "penguind.cli_operator:operator",
    "backup": "penguind.cli_backup:backup",
    "restore": "penguind.cli_restore:restore",
    "doctor": "penguind.cli_doctor:doctor",
    "ports": "penguind.cli_ports:ports",
    "ca": "penguind.cli_ca:ca",
}
_DEFAULT = Path("/etc/penguind/penguind.toml")


class _Lazy(click.Group):
    """A group whose commands are loaded when they are used."""

    def list_commands(self, ctx: click.Context) -> list[str]:  # noqa: ARG002 -- click's signature
        """Return the commands' names."""
        return list(_COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:  # noqa: ARG002
        """Load a command."""
        where = _COMMANDS.get(cmd_name)
        if where is None:
            return None
        module, _, name = where.partition(":")
        command: click.Command = getattr(importlib.import_module(module), name)
        return command

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """Find the command that is meant, or say which is nearest."""
        if args and args[0] not in _COMMANDS and not args[0].startswith("-"):
            near = difflib.get_close_matches(args[0], _COMMANDS, n=1)
            hint = f" Did you mean '{near[0]}'?" if near else ""
            ctx.fail(f"No such command '{args[0]}'.{hint}")
        return super().resolve_command(ctx, args)


@click.group(cls=_Lazy, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(package_name="penguindome", prog_name="penguind")
@click.option(
    "--config",
    type=click.Path(dir_okay=False, path_type=Path),
    default=_DEFAULT,
    show_default=True,
    help="The settings file.",
)
@click.pass_context
def cli(context: click.Context, config: Path) -> None:
    """Serve a fleet of Linux devices: take reports in, judge them, tell operators."""
    # Everything that is made here is the server's alone.
    os.umask(0o077)
    context.obj = config.absolute()


def main() -> None:
    """Run the command line; an error of ours is one line and exit status 1."""
    forget_foreign_settings(os.environ)
    try:
        cli()
    except PenguinDomeError as error:
        _fail(error.text())
    except BrokenPipeError:
        sys.exit(1)
    except OSError as error:
        where = f"{error.filename}: " if error.filename else ""
        _fail(f"{where}{error.strerror or error} — free space, or correct owner and mode")


def _fail(text: str) -> NoReturn:
    click.echo(f"penguind: {printable(text)}", err=True)
    sys.exit(1)
