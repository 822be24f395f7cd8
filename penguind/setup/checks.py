"""What set-up checks before it makes anything, so that a refusal leaves nothing half-done."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from penguind.identity.authority_files import authority_dir
from penguind.store.database import open_database
from penguindome.errors import PreconditionFailed

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from penguind.config import Settings
    from penguind.setup.file import Answers


async def check_database(answers: Answers) -> None:
    """Open the answered database, if it is the site's own.

    Raises:
        InvalidInput, PreconditionFailed, Unavailable: as `open_database`.
    """
    if not answers.database_uri:
        return
    database = await open_database(
        answers.database_uri,
        answers.database_name,
        username=answers.database_username,
        password=answers.database_password,
        tls_ca=answers.database_tls_ca_file,
        replica_set=answers.database_replica_set,
    )
    await database.close()


def check_kept(settings: Settings, options: Mapping[str, Any]) -> None:
    """Check that options which were given say the same as the settings that are kept.

    Raises:
        PreconditionFailed: naming those that do not.
    """
    kept = _kept(settings)
    differing = [
        f"{name} is {kept[name] or 'not set'}, not {value}"
        for name, value in options.items()
        if name in kept and str(value) != kept[name]
    ]
    if differing:
        raise PreconditionFailed(
            f"the settings exist already and say otherwise: {'; '.join(differing)}",
            code="settings-kept",
            subject=str(settings.path),
            remedy="edit that file, then run penguind setup again without these options",
        )


def check_unclaimed(path: Path, state_dir: Path) -> None:
    """Check that the state folder of new settings holds no keys of other ones.

    Raises:
        PreconditionFailed: it does.
    """
    folder = authority_dir(state_dir)
    if folder.is_dir() and any(folder.glob("*-key.pem")):
        raise PreconditionFailed(
            f"there are keys of a fleet, but its settings ({path}) are gone",
            code="settings-lost",
            subject=str(folder),
            remedy="bring the settings file back from a backup; for a new fleet, choose another "
            "state folder, or move this one away",
        )


def _kept(settings: Settings) -> dict[str, str]:
    """Return what is kept, by the names of set-up's options."""
    server, listen, database = settings.server, settings.listen, settings.database
    return {
        "user": server.user,
        "state_dir": str(server.state_dir),
        "advertised_host": server.advertised_host,
        "address": listen.address,
        "main_port": str(listen.main_port),
        "bootstrap_port": str(listen.bootstrap_port),
        "certificate": str(listen.certificate),
        "key": str(listen.key),
        "database_uri": database.uri,
        "database_name": database.name,
        "database_username": database.username,
        "database_tls_ca_file": str(database.tls_ca_file or ""),
        "database_replica_set": database.replica_set,
    }
