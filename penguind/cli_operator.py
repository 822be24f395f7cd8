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
from penguind.console import clear_ranges, list_operators, revoke_operator, show_ranges
from penguind.console import invite as make_invitation
from penguindome.display import printable
from penguindome.times import parse_duration, utc_now

if TYPE_CHECKING:
    from datetime import timedelta
    from pathlib import Path

    from penguind.config import Settings


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
    settings = _settings(config)
    span: timedelta = parse_duration(ttl)
    wanted = roles or ("viewer", "operator")
    line = asyncio.run(make_invitation(settings, name, wanted, span, utc_now))
    click.echo(f"Give this line to {name}; it is valid for {ttl}, once.", err=True)
    click.echo(line)


@operator.command("list")
@click.pass_obj
def list_(config: Path) -> None:
    """List the operators, their roles and when their certificates end."""
    for one in asyncio.run(list_operators(_settings(config))):
        state = "revoked" if one.revoked else f"until {one.certificate_expires_time:%Y-%m-%d}"
        click.echo(f"{printable(one.name)}  {state}  {', '.join(one.roles)}")


@operator.command()
@click.argument("name")
@click.pass_obj
def revoke(config: Path, name: str) -> None:
    """End NAME's access to the server, and withdraw open invitations for NAME.

    What NAME's OpenPGP key may sign is another matter: the trust document says that, and only
    operators' signatures change it.
    """
    asyncio.run(revoke_operator(_settings(config), name, utc_now))
    click.echo(f"{printable(name)} is revoked.")


@operator.command()
@click.argument("role", type=click.Choice(ROLES))
@click.option("--clear", is_flag=True, help="Lift the limit.")
@click.pass_obj
def ranges(config: Path, role: str, *, clear: bool) -> None:
    """Show the networks that ROLE may be used from, or lift the limit.

    For whoever locked themselves out; else see: penguinctl operator ranges.
    """
    settings = _settings(config)
    if clear:
        asyncio.run(clear_ranges(settings, role, utc_now))
        click.echo(f"The role {role} may be used from everywhere.")
        return
    for network in asyncio.run(show_ranges(settings, role)) or ("from everywhere",):
        click.echo(printable(network))


def _settings(config: Path) -> Settings:
    """Return the settings, as the service's user from now on."""
    settings = load_settings(config)
    privileges.drop(settings.server.user)
    privileges.check_files(settings)
    return settings
