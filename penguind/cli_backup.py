"""penguind backup: write a backup, or read one through."""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys
from pathlib import Path
from typing import IO, TYPE_CHECKING

import click

from penguind import privileges
from penguind.backup.making import silent, write_backup
from penguind.backup.output import whole_file
from penguind.backup.reading import Nobody, Reading
from penguind.config import load_settings
from penguind.console import console_database
from penguind.restore.preview import opened
from penguind.store.backup_notes import BackupNotes
from penguindome.display import printable
from penguindome.errors import InvalidInput, PreconditionFailed
from penguindome.times import utc_now

if TYPE_CHECKING:
    from collections.abc import Sequence

    from penguind.backup.contents import Header, Totals
    from penguind.backup.writing import Progress

_KEY = click.Path(dir_okay=False, path_type=Path)
_MEBIBYTE = 1 << 20


class _Backup(click.Group):
    """Takes `backup FILE` beside `backup verify FILE`: what is no command is a file."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """Put `create` in front of words that begin with no command."""
        known = {*self.commands, *self.get_help_option_names(ctx)}
        if not args or args[0] not in known:
            args = ["create", *args]
        return super().parse_args(ctx, args)


@click.group(cls=_Backup)
def backup() -> None:
    """Back everything up: penguind backup FILE, the same as backup create FILE."""


@backup.command()
@click.argument("file", default="-", metavar="[FILE|-]")
@click.option(
    "--encrypt-to",
    "keys",
    multiple=True,
    type=_KEY,
    help="A file with an OpenPGP public key that can decrypt the backup; may be repeated.",
)
@click.pass_obj
def create(config: Path, file: str, keys: tuple[Path, ...]) -> None:
    """Write all of the fleet into one FILE: database, authorities, settings and checks.

    The server may run meanwhile; the backup holds one moment. A FILE is there whole or not at all.
    """
    if file == "-":
        _to_standard_output(config, keys)
        return
    path = Path(file).absolute()
    if path.is_dir():
        raise InvalidInput("is a folder", subject=str(path), remedy="name a file in it")
    with whole_file(path) as output:
        if os.geteuid() == 0:
            _as_service_user(config, keys, output)
        else:
            _write(config, keys, output)
    click.echo(f"The backup is whole: {path} ({path.stat().st_size / _MEBIBYTE:.1f} MiB)", err=True)


@backup.command()
@click.argument("file")
def verify(file: str) -> None:
    """Read FILE through, - for standard input, and say what it holds."""
    with opened(file, sys.stdin.buffer) as source:
        header, totals = asyncio.run(Reading(Nobody()).run(source))
    for line in described(header, totals):
        click.echo(printable(line))


def described(header: Header, totals: Totals) -> list[str]:
    """Return what a backup holds, in lines for people."""
    documents = sum(totals.collections.values())
    held = ", ".join(f"{name} {count}" for name, count in sorted(totals.collections.items()))
    lines = [
        "The backup is whole.",
        f"Fleet: {header.fleet_id}",
        f"Made: {header.created_time} on {header.host} by penguind {header.version}",
        f"Files: {totals.files} ({totals.file_bytes} bytes), from {header.state_dir}",
        f"Documents: {documents} ({held})",
        f"Ledger: row {header.ledger_number}, {header.ledger_hash or 'empty'}",
    ]
    lines += [f"Not held, since it lies elsewhere: {path}" for path in header.outside]
    return lines


def _to_standard_output(config: Path, keys: Sequence[Path]) -> None:
    if sys.stdout.buffer.isatty():
        raise InvalidInput("a backup is nothing for a terminal", remedy="name a file")
    _write(config, keys, sys.stdout.buffer)


def _write(config: Path, keys: Sequence[Path], output: IO[bytes]) -> None:
    settings = load_settings(config)
    privileges.drop(settings.server.user)
    privileges.check_files(settings)
    if not keys:
        click.echo(
            "The backup holds the fleet's authorities unencrypted: keep it as safe as the server, "
            "or give --encrypt-to.",
            err=True,
        )

    async def work() -> tuple[Header, Totals]:
        async with console_database(settings) as database:
            made = await write_backup(
                settings, database, utc_now, output, keys=keys, progress=_progress()
            )
            await BackupNotes(database).note(utc_now())
            return made

    header, _ = asyncio.run(work())
    if sys.stderr.isatty():
        click.echo(err=True)
    for path in header.outside:
        click.echo(f"Not in the backup, since it lies elsewhere: {printable(path)}", err=True)


def _as_service_user(config: Path, keys: Sequence[Path], output: IO[bytes]) -> None:
    """Have a child of ours, which leaves root behind, write into the file that root opened."""
    words = [
        sys.executable,
        "-P",
        "-m",
        "penguind",
        "--config",
        str(config),
        "backup",
        "create",
        "-",
    ]
    for key in keys:
        words += ["--encrypt-to", str(key.absolute())]
    if subprocess.run(words, stdout=output, check=False).returncode != 0:
        raise PreconditionFailed("no backup was made", remedy="see above")


def _progress() -> Progress:
    """Return what tells a person at a terminal how far it is."""
    if not sys.stderr.isatty():
        return silent

    def show(what: str, size: int) -> None:
        click.echo(f"\r{size / _MEBIBYTE:8.1f} MiB  {what:<20.20}", nl=False, err=True)

    return show
