"""penguind operator: what is done about operators on the server itself.

There is no administrative socket. Whoever may read the server's files is its administrator; on
the devices that gives no power, since only operators' OpenPGP signatures do.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import click

from penguind import privileges
from penguind.access import ROLES
from penguind.config import load_settings
from penguind.console import invite as make_invitation
from penguindome.times import parse_duration, utc_now

if TYPE_CHECKING:
    from datetime import timedelta
    from pathlib import Path


@click.group()
def operator() -> None:
    """Manage operators."""


@operator.command()
@click.argument("name")
@click.option(
    "--role",
    "roles",
    multiple=True,
    type=click.Choice(ROLES),
    help="A role of the new operator; may be repeated. Default: viewer and operator.",
)
@click.option("--ttl", default="7d", show_default=True, help="How long the invitation is valid.")
@click.pass_obj
def invite(config: Path, name: str, roles: tuple[str, ...], ttl: str) -> None:
    """Invite NAME to become an operator, and print the invitation's line.

    The line is a secret: whoever holds it becomes NAME. Use it with: penguinctl init. Inviting an
    operator again replaces the operator's key.
    """
    settings = load_settings(config)
    privileges.drop(settings.server.user)
    privileges.check_files(settings)
    span: timedelta = parse_duration(ttl)
    wanted = roles or ("viewer", "operator")
    line = asyncio.run(make_invitation(settings, name, wanted, span, utc_now))
    click.echo(f"Give this line to {name}; it is valid for {ttl}, once.", err=True)
    click.echo(line)
