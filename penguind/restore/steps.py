"""The steps of a restore, each safe to repeat after a death at any point.

Everything is staged in the state folder by the service's user; a file says when that is complete;
from then on only moving is left, and running the restore again ends it.
Trust: whoever had the server may have left links in its state folder: root touches nothing there.
"""

from __future__ import annotations

import fcntl
import os
import shutil
import subprocess
import sys
from contextlib import contextmanager
from typing import IO, TYPE_CHECKING

from penguind.privileges import acting_as, service_user
from penguindome.durable import (
    make_open_dir,
    make_private_dir,
    raise_for,
    read_file,
    sync_dir,
    write_file,
)
from penguindome.errors import InternalError, PreconditionFailed

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from penguind.config import Settings
    from penguind.restore.places import Places
    from penguind.restore.settings_text import Wanted

    Say = Callable[[str], None]


@contextmanager
def staging_folder(places: Places, settings: Settings) -> Iterator[None]:
    """Make and lock the staging folder; when the block fails before the moving, nothing is left.

    Raises:
        PreconditionFailed: another restore runs here.
    """
    existed, user = places.state_dir.exists(), settings.server.user
    make_open_dir(places.state_dir.parent)
    make_private_dir(places.state_dir)
    _give(settings, places.state_dir)
    descriptor = _opened(places, user)
    try:
        _lock(descriptor, places.state_dir)
        yield
    except BaseException:
        if not places.completed():
            with acting_as(user):
                places.clear()
            _remove_if_empty(places.state_dir, existed=existed)
        raise
    finally:
        os.close(descriptor)


def stage(places: Places, wanted: Wanted, file: IO[bytes]) -> None:
    """Have the service's user put everything into the staging folder and the database.

    Raises:
        PreconditionFailed: with the words of the part that failed.
    """
    with acting_as(wanted.settings.server.user):
        write_file(places.settings, wanted.text.encode())
    file.seek(0)
    _run(places, wanted.settings, "stage", file)


def commit(places: Places, wanted: Wanted, config: Path, say: Say) -> None:
    """Move what is staged to where it belongs.

    Raises:
        LimitExceeded, PreconditionFailed: a file cannot be moved; a further restore goes on.
    """
    if not config.exists():
        write_settings(config, wanted)
        say(f"Restored: {config}")
    _place_checks(places, wanted.settings, say)
    with acting_as(wanted.settings.server.user):
        _place_state(places)
    if not wanted.settings.database.embedded:
        _run(places, wanted.settings, "finish", None)
    with acting_as(wanted.settings.server.user):
        places.clear()
    say(f"Restored: {places.state_dir}")


def write_settings(config: Path, wanted: Wanted) -> None:
    """Write the settings file, which root owns and the service's user may read."""
    root = os.geteuid() == 0
    make_open_dir(config.parent)
    write_file(config, wanted.text.encode(), 0o640 if root else 0o600)
    if root:
        os.chown(config, 0, service_user(wanted.settings.server.user).pw_gid)


def _opened(places: Places, user: str) -> int:
    """Make the staging folder and open it, to be locked.

    Raises:
        PreconditionFailed: something else stands there, e.g. a link to elsewhere.
    """
    with acting_as(user):
        make_private_dir(places.home)
        flags = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
        try:
            return os.open(places.home, flags)
        except OSError as error:
            raise_for(error, places.home)


def _place_state(places: Places) -> None:
    try:
        for path in sorted(places.files.iterdir()) if places.files.is_dir() else ():
            path.rename(places.state_dir / path.name)
        sync_dir(places.state_dir)
    except OSError as error:
        raise_for(error, places.state_dir)


def _place_checks(places: Places, settings: Settings, say: Say) -> None:
    """Put the site's checks back; one that is there already stays."""
    folder = settings.checks_directory
    # What the service cannot read must not become a check, which all may read.
    with acting_as(settings.server.user):
        staged = sorted(places.checks.iterdir()) if places.checks.is_dir() else []
        texts = [(path.name, read_file(path)) for path in staged]
    for name, text in texts:
        target = folder / name
        if target.exists():
            if read_file(target.resolve()) != text:
                say(f"Kept, though the backup has another one: {target}")
            continue
        make_open_dir(folder)
        write_file(target, text, 0o644)
        say(f"Restored: {target}")


def _run(places: Places, settings: Settings, verb: str, file: IO[bytes] | None) -> None:
    """Run a step as the service's user, which dies with us."""
    who: list[str] = []
    environment = dict(os.environ)
    if os.geteuid() == 0:
        user = service_user(settings.server.user)
        who = [f"--reuid={user.pw_uid}", f"--regid={user.pw_gid}", "--clear-groups"]
        environment["HOME"] = user.pw_dir
    setpriv = shutil.which("setpriv")
    if setpriv is None:
        raise PreconditionFailed("setpriv is missing", remedy="install util-linux")
    words = [setpriv, *who, "--pdeathsig", "KILL", "--", sys.executable, "-P"]
    words += ["-m", "penguind.restore", verb, str(places.state_dir)]
    done = subprocess.run(
        words,
        stdin=file if file is not None else subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        env=environment,
        cwd="/",
        check=False,
    )
    if done.returncode == 1:
        raise PreconditionFailed(done.stderr.decode("utf-8", "replace").strip()[-1000:])
    if done.returncode != 0:
        lines = done.stderr.decode("utf-8", "replace").strip().splitlines()
        raise InternalError(f"the restore ended with status {done.returncode}: {lines[-1:]}")


def _give(settings: Settings, *paths: Path) -> None:
    if os.geteuid() == 0:
        user = service_user(settings.server.user)
        for path in paths:
            os.chown(path, user.pw_uid, user.pw_gid, follow_symlinks=False)


def _lock(descriptor: int, state_dir: Path) -> None:
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        raise PreconditionFailed(
            "another restore runs here", subject=str(state_dir), remedy="wait for its end"
        ) from None


def _remove_if_empty(folder: Path, *, existed: bool) -> None:
    if not existed and not any(folder.iterdir()):
        folder.rmdir()
