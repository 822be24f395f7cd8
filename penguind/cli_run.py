"""penguind run and check-config."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import click

from penguind import privileges
from penguind.chain import certificate_sources
from penguind.check_loader import CheckLoader
from penguind.config import load_settings
from penguind.identity.authority import load_anchor, load_authority
from penguind.server import run as run_server
from penguindome.channels import MESSAGE_LIMIT_BYTES
from penguindome.display import printable
from penguindome.errors import InvalidInput
from penguindome.logs import install
from penguindome.memory import keep_freed_memory
from penguindome.times import utc_now

if TYPE_CHECKING:
    from pathlib import Path

    from penguind.config import Settings

_KEPT_BYTES = 16 * 1024 * 1024


@click.command()
@click.pass_obj
def run(config: Path) -> None:
    """Serve until told to stop; as root it becomes the service's user first."""
    settings = load_settings(config)
    privileges.drop(settings.server.user)
    install(settings.logging, "penguind")
    _check(settings)
    # Pieces of recordings and reports follow one another.
    keep_freed_memory(_KEPT_BYTES, MESSAGE_LIMIT_BYTES)
    run_server(settings, utc_now)


@click.command("check-config")
@click.pass_obj
def check_config(config: Path) -> None:
    """Check settings, keys, certificate and the site's checks, and say what is wrong."""
    settings = load_settings(config)
    privileges.drop(settings.server.user)
    _check(settings)
    certificate_sources(settings, utc_now)
    loader = CheckLoader(settings.checks_directory, settings.calendars)
    loader.refresh()
    for problem in loader.current.problems:
        click.echo(f"{printable(problem.origin)}: {printable(problem.reason)}", err=True)
    if loader.current.problems:
        raise InvalidInput(
            f"{len(loader.current.problems)} check files are not usable",
            subject=str(settings.checks_directory),
        )
    click.echo(f"{config}: all is well.")


def _check(settings: Settings) -> None:
    """Check what every start depends on, the clearest reason first."""
    if not settings.server.fleet_id or not settings.server.advertised_host:
        raise InvalidInput(
            "server.fleet_id and server.advertised_host are not set",
            subject=str(settings.path),
            remedy="run penguind setup, which sets them",
        )
    privileges.check_files(settings)
    load_authority(settings.server.state_dir, settings.server.fleet_id)
    load_anchor(settings.server.state_dir)
    os.chdir("/")
