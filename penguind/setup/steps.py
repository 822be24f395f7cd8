"""Setting a server up: keys, settings, database and the first invitation.

Running it again is safe: what exists is kept, and said so.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from penguind.access import ROLES
from penguind.config import load_settings
from penguind.console import console_database, make_line
from penguind.identity.invitations import DEFAULT_TTL, check_operator
from penguind.identity.server_certificate import is_address
from penguind.privileges import acting_as, check_files, drop, service_user
from penguind.setup.checks import check_unclaimed
from penguind.setup.file import write_settings
from penguind.setup.keys import (
    adopt_certificate,
    check_own,
    make_authorities,
    make_server_certificate,
)
from penguind.store.all import open_stores
from penguindome.durable import make_open_dir, make_private_dir, read_file
from penguindome.errors import InvalidInput
from penguindome.ids import new_fleet_id

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from datetime import datetime
    from pathlib import Path

    from penguind.config import Settings
    from penguind.setup.file import Answers
    from penguind.store.all import Stores
    from penguindome.times import Clock

    Say = Callable[[str], None]


def make_server(path: Path, answers: Answers, clock: Clock, say: Say) -> Settings:
    """Make settings, keys and state folder; as root they are given to the service's user.

    Raises:
        InvalidInput, PreconditionFailed: an answer is not usable; nothing half-done is in the way.
    """
    for name in answers.operators:
        check_operator(name, ROLES)
    _check_host(answers.advertised_host)
    if not path.exists():
        _check_new(path, answers, clock())
    if os.geteuid() == 0:
        service_user(answers.user)
    settings = _settings(path, answers, say)
    # Once the folder is the service's, it may have put links there: root writes nothing into it.
    if _is_given(settings):
        with acting_as(settings.server.user):
            _make_keys(settings, answers, clock(), say)
    else:
        _make_keys(settings, answers, clock(), say)
    if os.geteuid() == 0:
        _give(settings)
    return settings


def _make_keys(settings: Settings, answers: Answers, now: datetime, say: Say) -> None:
    state_dir, fleet = settings.server.state_dir, settings.server.fleet_id
    make_authorities(state_dir, fleet, now, say)
    host = settings.server.advertised_host
    if settings.listen.certificate.parent == state_dir / "tls":
        names = tuple(dict.fromkeys((host, *answers.server_names)))
        make_server_certificate(state_dir, fleet, names, now, say)
    else:
        adopt_certificate(
            state_dir,
            settings.listen.certificate,
            settings.listen.key,
            host=host,
            now=now,
            say=say,
        )


async def invite_first(
    settings: Settings, names: Sequence[str], clock: Clock, say: Say
) -> list[str]:
    """Prepare the database and return the lines of the invitations."""
    async with console_database(settings) as database:
        stores = await open_stores(database, settings.server.fleet_id)
        return [
            await make_line(settings, stores, name, roles=ROLES, ttl=DEFAULT_TTL, clock=clock)
            for name in await _uninvited(stores, names, say)
        ]


async def _uninvited(stores: Stores, names: Sequence[str], say: Say) -> list[str]:
    """Return those who are no operators yet."""
    wanted = []
    for name in names:
        if await stores.operators.get(name) is None:
            wanted.append(name)
        else:
            say(f"{name} is an operator already; penguind operator invite {name} replaces the key.")
    return wanted


def become_service(settings: Settings) -> None:
    """Leave root behind, for good, before the database is touched; check what the server needs.

    Raises:
        PreconditionFailed: naming a file that is missing, or that the service's user cannot use.
    """
    drop(settings.server.user)
    check_files(settings)
    for listener in settings.listeners:
        for path in (listener.certificate, listener.key):
            read_file(path.resolve())


def _check_new(path: Path, answers: Answers, now: datetime) -> None:
    check_unclaimed(path, answers.state_dir)
    if answers.certificate is not None and answers.key is not None:
        check_own(answers.certificate, answers.key, host=answers.advertised_host, now=now)


def _settings(path: Path, answers: Answers, say: Say) -> Settings:
    if path.exists():
        say(f"The settings are kept as they are: {path}")
        settings = load_settings(path)
        make_private_dir(settings.server.state_dir)
        return settings
    make_open_dir(answers.state_dir.parent)
    make_private_dir(answers.state_dir)
    make_open_dir(path.parent)
    root = os.geteuid() == 0
    write_settings(path, answers, new_fleet_id(), 0o640 if root else 0o600)
    say(f"The settings are new: {path}")
    return load_settings(path)


def _is_given(settings: Settings) -> bool:
    """Tell whether root looks at a state folder that the service's user has."""
    facts = settings.server.state_dir.lstat()
    return os.geteuid() == 0 and facts.st_uid == service_user(settings.server.user).pw_uid


def _give(settings: Settings) -> None:
    """Give state and settings to the service's user; the folder itself last.

    Until then nobody can put a link into it. One that is the service's already is left alone.
    """
    user = service_user(settings.server.user)
    state_dir = settings.server.state_dir
    if not _is_given(settings):
        for _, folders, files, descriptor in os.fwalk(state_dir, topdown=False):
            for name in (*folders, *files):
                os.chown(name, user.pw_uid, user.pw_gid, dir_fd=descriptor, follow_symlinks=False)
        os.chown(state_dir, user.pw_uid, user.pw_gid, follow_symlinks=False)
    os.chown(settings.path, 0, user.pw_gid, follow_symlinks=False)


def _check_host(host: str) -> None:
    allowed = set("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789.-:_")
    if not host or not set(host) <= allowed or (":" in host and not is_address(host)):
        raise InvalidInput(
            "not a host that devices can dial",
            subject=host[:64] or "advertised host",
            remedy="give a DNS name or an IP address, without a port, brackets or zone",
        )
