"""penguind ca: the authorities that everybody's certificates come from."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import TYPE_CHECKING

import click

from penguind import ca_console, privileges
from penguind.config import load_settings
from penguind.identity.authority_files import KINDS
from penguindome.durable import read_file
from penguindome.times import utc_now

if TYPE_CHECKING:
    from penguind.ca_console import Described
    from penguind.config import Settings
    from penguind.identity.authority_files import AuthorityKind

_KIND = click.Choice(KINDS)
_KEY = click.option(
    "--anchor-key",
    type=click.Path(dir_okay=False, path_type=Path),
    help="The key of the newest server anchor, where it is kept off this machine.",
)
_NEXT = (
    "Old and new peers connect from now on. Let an operator sign the new anchor into the trust"
    " document: penguinctl trust anchors --add-from-server"
)


@click.group()
def ca() -> None:
    """Show, replace and retire the authorities: of devices, of operators, and the server anchor."""


@ca.command()
@click.pass_obj
def show(config: Path) -> None:
    """Show all authorities: kind, fingerprint, dates, and what depends on each."""
    for one in ca_console.describe(_settings(config)):
        dates = f"{one.starts_time:%Y-%m-%d} to {one.ends_time:%Y-%m-%d}"
        role = "issuing" if one.needed_until is None else "accepted"
        click.echo(f"{one.kind:<8}  {role:<8}  {dates}  {one.fingerprint}")
        click.echo(f"          {_dependents(one)}")


@ca.command()
@click.argument("kind", type=_KIND)
@_KEY
@click.pass_obj
def rotate(config: Path, kind: AuthorityKind, anchor_key: Path | None) -> None:
    """Make a new authority of KIND the one that issues; the former one is accepted on.

    Nobody has to do anything on a device. The server replaces the authorities of devices and of
    operators by itself, 60 days before they end. After a new anchor an operator has to sign it into
    the trust document, with: penguinctl trust anchors --add-from-server
    """
    key = _key(anchor_key)
    made = asyncio.run(ca_console.rotate(_settings(config), kind, utc_now, key))
    click.echo(f"The new {kind} authority issues from now on: {made.fingerprint}")
    if kind == "anchor":
        click.echo(_NEXT)


@ca.command()
@click.argument("kind", type=_KIND)
@click.argument("fingerprint")
@click.option("--force", is_flag=True, help="Retire it although it is needed: its key was stolen.")
@click.pass_obj
def retire(config: Path, kind: AuthorityKind, fingerprint: str, *, force: bool) -> None:
    """Accept nothing more that the authority of KIND with this FINGERPRINT signed.

    It is refused while somebody may depend on the authority, and says until when. Devices whose
    authority is retired by force come back by themselves; devices that know no newer anchor do not.
    """
    settings = _settings(config)
    one = asyncio.run(ca_console.retire(settings, kind, fingerprint, utc_now, force=force))
    click.echo(f"The {kind} authority {one.fingerprint} is retired.")


@ca.command()
@_KEY
@click.pass_obj
def renew(config: Path, anchor_key: Path | None) -> None:
    """Renew the server's own certificate, for the same names.

    The server does it by itself, 30 days before the end, where the anchor's key is on this machine.
    """
    key = _key(anchor_key)
    for path in asyncio.run(ca_console.renew(_settings(config), utc_now, key)):
        click.echo(f"Renewed: {path}")


def _dependents(one: Described) -> str:
    """Return who depends on an authority, in words."""
    whom = {
        "device": "devices' certificates",
        "operator": "operators' certificates",
        "anchor": "the server's certificates",
    }[one.kind]
    if one.needed_until is None:
        elsewhere = "" if one.has_key else "; its key is not on this machine"
        return f"signs {whom}{elsewhere}"
    needed = (
        "devices and operators may know no newer one"
        if one.kind == "anchor"
        else f"{whom} may be valid"
    )
    return f"{needed} until {one.needed_until:%Y-%m-%d}"


def _key(path: Path | None) -> bytes:
    """Return a key that may lie where only root can read."""
    return read_file(path.resolve()) if path is not None else b""


def _settings(config: Path) -> Settings:
    """Return the settings, as the service's user from now on."""
    settings = load_settings(config)
    privileges.drop(settings.server.user)
    privileges.check_files(settings)
    return settings
