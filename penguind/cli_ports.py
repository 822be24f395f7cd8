"""penguind ports: the listeners in the settings file."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from penguind import ports as use
from penguind.config import load_settings
from penguind.config_listeners import KINDS, MAX_PORT
from penguindome.channels import target
from penguindome.display import printable
from penguindome.durable import read_file
from penguindome.errors import InvalidInput
from penguindome.times import utc_now

if TYPE_CHECKING:
    from collections.abc import Callable

    from penguind.config import Settings
    from penguind.config_listeners import ListenerKind

_FILE = click.Path(dir_okay=False, path_type=Path)
_PORT = click.IntRange(1, MAX_PORT)
_OPTIONS = (
    click.option("--advertised-host", default="", help="The host that others dial."),
    click.option(
        "--advertised-port", type=click.IntRange(0, MAX_PORT), help="The port; 0 for the same."
    ),
    click.option("--generate", is_flag=True, help="Make a new certificate by the fleet's anchor."),
    click.option(
        "--name", "names", multiple=True, help="A further name or address in it; may be repeated."
    ),
    click.option(
        "--anchor-key", type=_FILE, help="The anchor's key, where it is kept off this machine."
    ),
    click.option("--certificate", type=_FILE, help="Your own certificate, with its authorities'."),
    click.option("--key", type=_FILE, help="The key of your own certificate."),
)


def _about_certificate(command: Callable[..., None]) -> Callable[..., None]:
    for option in reversed(_OPTIONS):
        command = option(command)
    return command


@click.group()
def ports() -> None:
    """Show and change where the server listens, and with which certificates.

    What is changed is the settings file; comments and layout stay. It holds after a restart.
    """


@ports.command()
@click.pass_obj
def show(config: Path) -> None:
    """Show every listener, its certificate, and what devices dial."""
    settings = load_settings(config)
    for one in use.describe(settings, utc_now):
        _show(one)
    dialled = settings.advertised
    click.echo(
        f"New devices and operators dial {dialled.host or 'MISSING: server.advertised_host'},"
        f" ports {dialled.main_port} (main) and {dialled.bootstrap_port} (bootstrap)."
    )
    _warn(settings)


@ports.command()
@click.argument("name")
@click.option("--kind", type=click.Choice(KINDS), required=True, help="Who is served.")
@click.option("--port", type=_PORT, required=True, help="The port to bind.")
@click.option("--address", default="", help="The address to bind. Default: that of [listen].")
@_about_certificate
@click.option("--deprecated", is_flag=True, help="Devices shall not use it.")
@click.pass_obj
def add(
    config: Path, /, name: str, kind: ListenerKind, *, deprecated: bool, **options: Any
) -> None:
    """Add the listener NAME: main, with certificates, or bootstrap, for enrollment and renewal.

    Without --generate or --certificate it shows the certificate of [listen].
    """
    change = _change(deprecated=deprecated or None, **options)
    _done(use.add(config, name, kind, change, utc_now), f"The listener {name} is added.")


@ports.command()
@click.argument("name")
@click.pass_obj
def remove(config: Path, name: str) -> None:
    """Remove the listener NAME, unless it is the last one of its kind.

    Files of its certificate stay where they are.
    """
    _done(use.remove(config, name), f"The listener {printable(name)} is removed.")


@ports.command()
@click.argument("name")
@click.option("--deprecated/--no-deprecated", default=None, help="Whether devices shall leave it.")
@click.option("--port", type=_PORT, help="The port to bind.")
@_about_certificate
@click.pass_obj
def configure(config: Path, /, name: str, **options: Any) -> None:
    """Change the listener NAME.

    The names main and bootstrap are the first pair, in [listen]: it has one certificate and one
    advertised host.
    """
    change = _change(**options)
    if change == use.Change():
        raise click.UsageError("Say what to change; see --help.")
    _done(use.configure(config, name, change, utc_now), f"The listener {name} is changed.")


def _change(*, anchor_key: Path | None, **options: Any) -> use.Change:
    """Return what the options say.

    Raises:
        InvalidInput: they do not go together.
    """
    certificate, key = options.pop("certificate"), options.pop("key")
    if (certificate is None) != (key is None):
        raise InvalidInput("--certificate and --key go together", remedy="give both or neither")
    if options["generate"] and certificate is not None:
        raise InvalidInput("--generate and --certificate exclude each other", remedy="give one")
    if (options["names"] or anchor_key) and not options["generate"]:
        raise InvalidInput("--name and --anchor-key are for --generate", remedy="add --generate")
    return use.Change(
        certificate=None if certificate is None else certificate.absolute(),
        key=None if key is None else key.absolute(),
        anchor_key=b"" if anchor_key is None else read_file(anchor_key.resolve()),
        **options,
    )


def _done(settings: Settings, said: str) -> None:
    click.echo(said)
    _warn(settings)
    click.echo("It holds after a restart: systemctl restart penguind")


def _warn(settings: Settings) -> None:
    for sentence in use.warnings(settings, utc_now):
        click.echo(f"Warning: {printable(sentence)}", err=True)


def _show(port: use.Port) -> None:
    one = port.listener
    click.echo(f"{one.name} ({one.kind}{', deprecated' if one.deprecated else ''})")
    state = "  MISSING" if port.missing else "  UNUSABLE" if port.problem else ""
    rows = {
        "listens on": target(one.address, one.port),
        "advertised as": target(one.advertised_host or "MISSING", one.advertised_port),
        "certificate": f"{one.certificate}{state}",
        "key": str(one.key),
        "names": ", ".join(port.names) or "MISSING",
        "ends": f"{port.ends_time:%Y-%m-%d}" if port.ends_time else "MISSING",
        "problem": port.problem,
    }
    for word, value in rows.items():
        if value:
            click.echo(f"  {word:<14}{printable(value)}")
