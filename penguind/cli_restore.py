"""penguind restore: from a backup and an empty machine to the fleet's server."""

from __future__ import annotations

import asyncio
import os
import socket
import sys
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

import click

from penguind.mongod.paths import require_mongod
from penguind.privileges import service_user
from penguind.restore.moving import set_aside
from penguind.restore.places import Places
from penguind.restore.preview import opened, preview
from penguind.restore.settings_text import wanted_settings
from penguind.restore.steps import commit, stage, staging_folder, write_settings
from penguindome.display import printable
from penguindome.errors import InvalidInput, PreconditionFailed
from penguindome.times import utc_now

if TYPE_CHECKING:
    from typing import IO

    from penguind.backup.contents import Header
    from penguind.config import Settings
    from penguind.restore.settings_text import Wanted

_ANSWER_SECONDS = 0.5


@click.command()
@click.argument("file", metavar="FILE|-")
@click.option(
    "--into-state-dir",
    type=click.Path(file_okay=False, path_type=Path),
    help="Another state folder than the one the backup came from.",
)
@click.option("--settings-only", is_flag=True, help="Restore the settings file and nothing else.")
@click.option("--replace", is_flag=True, help="Move what is in the way aside; nothing is deleted.")
@click.option("--yes", is_flag=True, help="Ask nothing.")
@click.pass_obj
def restore(
    config: Path,
    file: str,
    *,
    into_state_dir: Path | None,
    settings_only: bool,
    replace: bool,
    yes: bool,
) -> None:
    """Make this machine the server that FILE is a backup of; - is standard input.

    Settings that exist are kept if they are this fleet's, so that another database may be named in
    them first. All or nothing: whatever ends it early, run it again.
    """
    into = into_state_dir.absolute() if into_state_dir is not None else None
    with opened(file, sys.stdin.buffer) as source:
        header, text = asyncio.run(preview(source))
        wanted = wanted_settings(config, header, text, into)
        if settings_only:
            _settings_only(config, wanted)
            return
        _check_able(wanted.settings)
        places = Places(wanted.settings.server.state_dir)
        if not yes:
            _ask(header, wanted.settings, from_terminal=file != "-")
        if not _goes_on(places, header):
            _make_room(places, wanted.settings, replace=replace)
        _restore(places, wanted, config, source)
    _say(f"Start it: systemctl start penguind, or: penguind --config {config} run")


def _restore(places: Places, wanted: Wanted, config: Path, source: IO[bytes]) -> None:
    with staging_folder(places, wanted.settings):
        if not places.completed():
            stage(places, wanted, source)
        commit(places, wanted, config, _say)


def _settings_only(config: Path, wanted: Wanted) -> None:
    if wanted.kept:
        raise PreconditionFailed(
            "the settings exist", subject=str(config), remedy="move the file away first"
        )
    if os.geteuid() == 0:
        service_user(wanted.settings.server.user)
    write_settings(config, wanted)
    _say(f"Restored: {config}")


def _check_able(settings: Settings) -> None:
    """Check what must be there before anything is made."""
    if os.geteuid() == 0:
        service_user(settings.server.user)
    if settings.database.embedded:
        require_mongod()


def _ask(header: Header, settings: Settings, *, from_terminal: bool) -> None:
    if not (from_terminal and sys.stdin.isatty()):
        raise InvalidInput("there is nobody to ask", remedy="give --yes")
    question = (
        f"Restore the fleet {header.fleet_id} as of {header.created_time} "
        f"into {settings.server.state_dir}?"
    )
    click.confirm(printable(question), abort=True, err=True)


def _goes_on(places: Places, header: Header) -> bool:
    """Tell whether an earlier attempt with this backup left only moving to do.

    Raises:
        PreconditionFailed: it was an attempt with another backup.
    """
    staged = places.completed()
    if staged and staged != header.backup_id:
        raise PreconditionFailed(
            "a restore of another backup has not ended here",
            code="restore-unfinished",
            subject=str(places.state_dir),
            remedy="end that one first, by running it again",
        )
    return bool(staged)


def _make_room(places: Places, settings: Settings, *, replace: bool) -> None:
    if not replace:
        places.check_empty()
        return
    if _serves(settings):
        raise PreconditionFailed(
            "a server runs here",
            subject=f"port {settings.listen.main_port}",
            remedy="stop it first: systemctl stop penguind",
        )
    for line in asyncio.run(set_aside(places, settings, f"{utc_now():%Y%m%d%H%M%S}")):
        _say(f"Moved aside: {line}")


def _serves(settings: Settings) -> bool:
    address = settings.listen.address
    host = {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(address, address)  # noqa: S104 -- only compared
    with (
        suppress(OSError),
        socket.create_connection((host, settings.listen.main_port), timeout=_ANSWER_SECONDS),
    ):
        return True
    return False


def _say(sentence: str) -> None:
    click.echo(printable(sentence), err=True)
