"""Running as nobody but the service's own user, on files that nobody else can read."""

from __future__ import annotations

import os
import pwd
from contextlib import contextmanager
from typing import TYPE_CHECKING

from penguind.backup.files import RESTORING
from penguind.identity.authority import anchor_key, key_files
from penguind.identity.authority_files import authority_dir
from penguindome.durable import check_private
from penguindome.errors import NotFound, PreconditionFailed

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from penguind.config import Settings

_KEY_MODE = 0o600
_FOLDER_MODE = 0o700


def service_user(name: str) -> pwd.struct_passwd:
    """Return the user that root has to become.

    Raises:
        PreconditionFailed: there is no such user, or it is root.
    """
    try:
        user = pwd.getpwnam(name)
    except KeyError:
        raise PreconditionFailed(
            f"penguind does not run as root, and there is no user {name!r}",
            code="no-user",
            remedy=f"make one (useradd --system {name}), or set server.user",
        ) from None
    if user.pw_uid == 0:
        raise PreconditionFailed(
            f"penguind does not run as root, and server.user is {name!r}",
            code="user-root",
            remedy="set server.user to a user of its own, e.g. penguind",
        )
    return user


def drop(name: str) -> None:
    """Become the service's user if this is root; nothing happens otherwise.

    Raises:
        PreconditionFailed: as `service_user`.
    """
    if os.geteuid() != 0:
        return
    user = service_user(name)
    os.setgroups([])
    os.setresgid(user.pw_gid, user.pw_gid, user.pw_gid)
    os.setresuid(user.pw_uid, user.pw_uid, user.pw_uid)
    # The folder that root stood in may be closed to us.
    os.chdir("/")
    # A home of root's is of no use, and must not be looked into.
    os.environ["HOME"] = user.pw_dir
    _check_programs(name)


@contextmanager
def acting_as(name: str) -> Iterator[None]:
    """Be the service's user for a while if this is root; nothing happens otherwise.

    What is made then belongs to that user, and what it cannot read is not read.

    Raises:
        PreconditionFailed: as `service_user`.
    """
    if os.geteuid() != 0:
        yield
        return
    user, groups, group = service_user(name), os.getgroups(), os.getegid()
    os.setgroups([])
    os.setegid(user.pw_gid)
    os.seteuid(user.pw_uid)
    try:
        yield
    finally:
        os.seteuid(0)
        os.setegid(group)
        os.setgroups(groups)


def _check_programs(name: str) -> None:
    """Check that the user can read what is still to be imported.

    Raises:
        PreconditionFailed: naming what is closed, e.g. a Python in root's home.
    """
    for path in (os.__file__, __file__):
        if not os.access(path, os.R_OK):
            raise PreconditionFailed(
                f"the user {name} cannot read the Python that penguind runs on",
                code="closed-program",
                subject=path,
                remedy="install penguind where all may read, e.g. in /opt, with /usr/bin/python3",
            )


def check_files(settings: Settings) -> None:
    """Check that state, keys and settings are ours and closed to others.

    Raises:
        NotFound: a file or folder is missing.
        PreconditionFailed: naming the file and the command that mends it.
    """
    uid, state_dir = os.geteuid(), settings.server.state_dir
    check_state_dir(state_dir)
    check_settings(settings.path)
    check_private(authority_dir(state_dir), owner_uid=uid, max_mode=_FOLDER_MODE, directory=True)
    for path in key_files(state_dir):
        check_private(path, owner_uid=uid, max_mode=_KEY_MODE, directory=False)
    if anchor_key(state_dir).exists():
        check_private(anchor_key(state_dir), owner_uid=uid, max_mode=_KEY_MODE, directory=False)
    for listener in settings.listeners:
        check_secret(listener.key)
    if settings.database.password_file is not None:
        check_secret(settings.database.password_file)
    for path in settings.alerts.secret_files():
        check_secret(path)
    if settings.has_secret():
        check_secret(settings.path)


def check_state_dir(state_dir: Path) -> None:
    """Check that the state folder is ours and closed to others.

    Raises:
        PreconditionFailed: it is missing, or half restored; names the command that mends it.
    """
    if (state_dir / RESTORING).exists():
        raise PreconditionFailed(
            "a restore into this state folder has not ended",
            code="restore-unfinished",
            subject=str(state_dir),
            remedy="run the same penguind restore again, which ends it",
        )
    try:
        check_private(state_dir, owner_uid=os.geteuid(), max_mode=_FOLDER_MODE, directory=True)
    except NotFound:
        raise PreconditionFailed(
            "the state folder does not exist",
            code="no-state",
            subject=str(state_dir),
            remedy="run penguind setup first, or correct server.state_dir",
        ) from None


def check_settings(path: Path) -> None:
    """Check that nobody but root and we can change the settings: they name keys and database.

    Raises:
        PreconditionFailed: naming the command that mends it.
    """
    facts = path.stat()
    if facts.st_uid not in (0, os.geteuid()):
        raise PreconditionFailed(
            f"the settings belong to uid {facts.st_uid}",
            code="loose-mode",
            subject=str(path),
            remedy=f"Run: chown root {path}",
        )
    if facts.st_mode & 0o002:
        raise PreconditionFailed(
            f"the settings have mode {facts.st_mode & 0o7777:04o}: everybody can change them",
            code="loose-mode",
            subject=str(path),
            remedy=f"Run: chmod o-w {path}",
        )


def check_secret(path: Path) -> None:
    """Check that a secret file, maybe of an administrator's, is closed to all but its group.

    Raises:
        PreconditionFailed: naming the command that mends it.
    """
    try:
        facts = path.stat()
    except OSError as error:
        raise PreconditionFailed(
            error.strerror or "cannot be read",
            code="secret-missing",
            subject=str(path),
            remedy="correct its name in the settings, or run penguind setup",
        ) from error
    if facts.st_uid not in (0, os.geteuid()):
        raise PreconditionFailed(
            f"belongs to uid {facts.st_uid}",
            code="loose-mode",
            subject=str(path),
            remedy=f"Run: chown {os.geteuid()} {path}",
        )
    if facts.st_mode & 0o037:
        raise PreconditionFailed(
            f"has mode {facts.st_mode & 0o7777:04o}, which lets others in",
            code="loose-mode",
            subject=str(path),
            remedy=f"Run: chmod 0640 {path}",
        )
