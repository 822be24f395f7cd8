"""The database file of orders: open it, know whether it is still the same one, write durably.

A file that is lost, damaged or brought back from a copy has forgotten what was done since. Then a
new memory is born: what was ordered before is refused, since it may have been done already.

1. The inode numbers of file and folder stand inside, and when the file beside it was last changed,
which nobody can set: a copy has others, and so has what a copy was written over. 2. A marker
outside the folder tells a lost file from a device that never had one. 3. synchronous=FULL: what a
call wrote is on the disk when it returns.
Source: https://www.sqlite.org/wal.html, https://www.sqlite.org/pragma.html, 3.40.
"""

from __future__ import annotations

import os
import sqlite3
import threading
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING, NoReturn

from logbook import Logger

from penguin_agent.boot_id import boot_id
from penguin_agent.clock import boottime
from penguindome.durable import check_private, make_private_dir, raise_for, write_file
from penguindome.errors import Damaged, LimitExceeded, PenguinDomeError, PreconditionFailed
from penguindome.times import to_unix_ms

if TYPE_CHECKING:
    from collections.abc import Iterator
    from datetime import datetime
    from pathlib import Path

log = Logger(__name__)

VERSION = 1
_BUSY_SECONDS = 5.0
_SCHEMA = """
CREATE TABLE meta (name TEXT PRIMARY KEY, value TEXT NOT NULL);
CREATE TABLE orders (
    order_id TEXT PRIMARY KEY, kind TEXT NOT NULL, summary TEXT NOT NULL, author TEXT NOT NULL,
    reason TEXT NOT NULL, number INTEGER NOT NULL, issued_ms INTEGER NOT NULL,
    expires_ms INTEGER NOT NULL, taken_ms INTEGER NOT NULL, payload_sha256 TEXT NOT NULL,
    envelope BLOB, unwanted INTEGER NOT NULL DEFAULT 0
);
CREATE TABLE parts (
    order_id TEXT NOT NULL, part TEXT NOT NULL, state TEXT NOT NULL, code TEXT NOT NULL DEFAULT '',
    why TEXT NOT NULL DEFAULT '', exit_code INTEGER, truncated INTEGER NOT NULL DEFAULT 0,
    details TEXT NOT NULL DEFAULT '{}', stdout_bytes INTEGER NOT NULL DEFAULT 0,
    stderr_bytes INTEGER NOT NULL DEFAULT 0, started_ms INTEGER, ended_ms INTEGER,
    number INTEGER NOT NULL, PRIMARY KEY (order_id, part)
);
CREATE TABLE receipts (
    sequence INTEGER PRIMARY KEY AUTOINCREMENT, order_id TEXT NOT NULL, part TEXT NOT NULL,
    payload BLOB NOT NULL, signature BLOB NOT NULL, sent INTEGER NOT NULL DEFAULT 0,
    claimed INTEGER NOT NULL DEFAULT 0
);
CREATE INDEX receipts_by_order ON receipts (order_id, part);
CREATE INDEX receipts_to_send ON receipts (sent, sequence);
CREATE TABLE outputs (
    order_id TEXT NOT NULL, part TEXT NOT NULL, stream TEXT NOT NULL,
    acknowledged INTEGER NOT NULL DEFAULT 0, PRIMARY KEY (order_id, part, stream)
);
CREATE TABLE refused (
    digest TEXT PRIMARY KEY, order_id TEXT NOT NULL, kind TEXT NOT NULL, code TEXT NOT NULL,
    why TEXT NOT NULL, first_ms INTEGER NOT NULL, last_ms INTEGER NOT NULL, times INTEGER NOT NULL
);
CREATE TABLE called_off (
    order_id TEXT NOT NULL, kind TEXT NOT NULL, by_order TEXT NOT NULL, until_ms INTEGER NOT NULL,
    PRIMARY KEY (order_id, kind)
);
"""


class StoreFile:
    """One connection to the file, for one thread at a time.

    Args:
        state_dir: Where the folder `orders` is.
    """

    def __init__(self, state_dir: Path) -> None:
        self.folder = state_dir / "orders"
        self.path = self.folder / "orders.db"
        self._marker = state_dir / "state" / "orders-born"
        # Written at each birth and never again.
        self._canary = self.folder / "born"
        self._lock = threading.RLock()
        self._connection: sqlite3.Connection | None = None

    @property
    def is_open(self) -> bool:
        """Tell whether it can be used."""
        return self._connection is not None

    def open(self, now: datetime) -> None:
        """Open the file; make it, or another one in its place, where that is needed.

        Raises:
            LimitExceeded: The disk is full.
            PreconditionFailed: It cannot be used.
        """
        with self._lock:
            self.close()
            make_private_dir(self.folder)
            check_private(self.folder, owner_uid=os.geteuid(), max_mode=0o700, directory=True)
            try:
                self._open(now)
            except Damaged as error:
                log.error("The memory of orders is damaged and begins anew: {}", error.reason)  # noqa: TRY400 -- no bug
                self._put_away()
                self._open(now)

    def close(self) -> None:
        """Close the file; what was written stays."""
        with self._lock:
            if self._connection is not None:
                self._connection.close()
                self._connection = None

    @contextmanager
    def transaction(self) -> Iterator[sqlite3.Connection]:
        """Lend the connection for changes that are made all or none, and are durable afterwards.

        Raises:
            LimitExceeded: The disk is full; nothing was changed.
            Damaged: The file is; it has to be opened again.
            PreconditionFailed: It is not open, or cannot be used.
        """
        with self._lock:
            if self._connection is None:
                raise PreconditionFailed("the memory of orders is not open", code="not-open")
            try:
                self._connection.execute("BEGIN IMMEDIATE")
                try:
                    yield self._connection
                    self._connection.execute("COMMIT")
                except BaseException:
                    with suppress(sqlite3.Error):
                        self._connection.execute("ROLLBACK")
                    raise
            except sqlite3.Error as error:
                self._raise(error)

    def _open(self, now: datetime) -> None:
        try:
            descriptor = os.open(self.path, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW, 0o600)
            os.close(descriptor)
        except OSError as error:
            raise_for(error, self.path)
        check_private(self.path, owner_uid=os.geteuid(), max_mode=0o600, directory=False)
        connection = sqlite3.connect(
            self.path, timeout=_BUSY_SECONDS, isolation_level=None, check_same_thread=False
        )
        connection.row_factory = sqlite3.Row
        self._connection = connection
        try:
            self._prepare(connection, now)
        except sqlite3.Error as error:
            self.close()
            self._raise(error)
        except PenguinDomeError:
            self.close()
            raise

    def _prepare(self, connection: sqlite3.Connection, now: datetime) -> None:
        # Exclusive: nobody else has it open, and no memory is mapped that a full disk would fault.
        for setting in ("locking_mode=EXCLUSIVE", "journal_mode=WAL", "synchronous=FULL"):
            connection.execute(f"PRAGMA {setting}").fetchall()
        version = connection.execute("PRAGMA user_version").fetchone()[0]
        if version == 0:
            self._create(now)
        elif version != VERSION:
            raise PreconditionFailed(
                f"the memory of orders has form {version}, which this version does not know",
                code="other-version",
                subject=str(self.path),
                remedy="Update penguin-agent",
            )
        elif (said := connection.execute("PRAGMA quick_check(1)").fetchone()[0]) != "ok":
            raise Damaged(str(said), subject=str(self.path))
        elif get_meta(connection, "place") != self._place():
            log.error("The memory of orders is a copy: what was ordered before now is refused")
            with self.transaction():
                self._bear(connection, now, lost=True)
        if not self._marker.exists():
            make_private_dir(self._marker.parent)
            write_file(self._marker, b"")

    def _create(self, now: datetime) -> None:
        lost = self._marker.exists()
        if lost:
            log.error("The memory of orders was lost: what was ordered before now is refused")
        with self.transaction() as connection:
            for statement in _SCHEMA.split(";"):
                connection.execute(statement)
            self._bear(connection, now, lost=lost)
            connection.execute(f"PRAGMA user_version={VERSION}")

    def _bear(self, connection: sqlite3.Connection, now: datetime, *, lost: bool) -> None:
        set_meta(connection, "birth_ms", str(to_unix_ms(now)))
        set_meta(connection, "birth_boot", f"{boot_id()} {boottime()}")
        set_meta(connection, "lost", "1" if lost else "")
        write_file(self._canary, b"")
        set_meta(connection, "place", self._place())

    def _place(self) -> str:
        try:
            canary = self._canary.lstat()
        except FileNotFoundError:
            return ""
        inodes = (self.folder.stat().st_ino, self.path.stat().st_ino, canary.st_ino)
        return "/".join(map(str, (*inodes, canary.st_ctime_ns)))

    def _put_away(self) -> None:
        """Keep one damaged file, for whoever wants to know why."""
        try:
            self.path.replace(self.path.with_name("damaged.db"))
            for suffix in ("-wal", "-shm"):
                self.path.with_name(self.path.name + suffix).unlink(missing_ok=True)
            if not self._marker.exists():
                make_private_dir(self._marker.parent)
                write_file(self._marker, b"")
        except OSError as error:
            raise_for(error, self.path)

    def _raise(self, error: sqlite3.Error) -> NoReturn:
        code = getattr(error, "sqlite_errorcode", sqlite3.SQLITE_ERROR) & 0xFF
        if code == sqlite3.SQLITE_FULL:
            raise LimitExceeded(
                "disk full; nothing was changed",
                code="disk-full",
                subject=str(self.path),
                remedy="Free some space on this file system",
            ) from error
        if code in (sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB):
            raise Damaged(f"cannot be read: {error}", subject=str(self.path)) from error
        raise PreconditionFailed(
            f"cannot be used: {error}", code="bad-file", subject=str(self.path)
        ) from error


def get_meta(connection: sqlite3.Connection, name: str) -> str:
    """Return a value; "" if there is none."""
    row = connection.execute("SELECT value FROM meta WHERE name = ?", (name,)).fetchone()
    return str(row[0]) if row else ""


def set_meta(connection: sqlite3.Connection, name: str, value: str) -> None:
    """Set a value."""
    connection.execute("INSERT OR REPLACE INTO meta VALUES (?, ?)", (name, value))


@contextmanager
def reading(path: Path) -> Iterator[sqlite3.Connection]:
    """Lend a connection to a file that no daemon has open; it can only read.

    Raises:
        PreconditionFailed: It cannot be read.
    """
    connection = None
    try:
        connection = sqlite3.connect(f"{path.as_uri()}?mode=ro", uri=True, isolation_level=None)
        connection.row_factory = sqlite3.Row
        yield connection
    except sqlite3.Error as error:
        raise PreconditionFailed(
            f"cannot be read: {error}", code="bad-file", subject=str(path)
        ) from error
    finally:
        if connection is not None:
            connection.close()
