"""Verifying the ledger's chain without believing the server."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING

from penguinctl import moments, wire
from penguinctl.exits import NotVerified
from penguinctl.progress import Progress
from penguindome.chain import GENESIS, verify_rows
from penguindome.display import printable
from penguindome.errors import Damaged

if TYPE_CHECKING:
    from penguinctl.app import App
    from penguindome.v1 import ledger_pb2

_FILE = "ledger.json"
_PAGE = 1_000
_RESTORE = "server.restore"


@dataclass(frozen=True, slots=True)
class Head:
    """A row's number and hash, and the hash of the last restore's row before it, if any."""

    number: int
    hash: bytes
    restore_hash: bytes = b""


@dataclass(frozen=True, slots=True)
class Verified:
    """What was verified, and which row was remembered from before; None for none."""

    number: int
    hash: bytes
    remembered_number: int | None


@dataclass(slots=True)
class _Walk:
    """What was found on the way through the rows.

    Attributes:
        end: The last row.
        met: The hash of the row that was remembered; empty while it was not met.
        restored: The last row up to that one which says that a backup was restored, and which was
            not there before.
        restore_hash: The hash of the last row of this kind.
    """

    end: Head
    met: bytes = b""
    restored: ledger_pb2.LedgerRow | None = None
    restore_hash: bytes = b""


def check_chain(app: App, *, accept_restore: bool = False) -> Verified:
    """Verify all rows and the remembered head, then remember the new one.

    Args:
        app: The running command.
        accept_restore: Whether the ledger may have gone back where it says itself that a backup was
            restored.

    Raises:
        Damaged: A row is missing or changed.
        NotVerified: The ledger is shorter than, or different from, what was verified before.
    """
    remembered = _remembered(app)
    promised = _promised(app)
    with Progress("Verifying rows", promised.number) as work:
        walk = _walk(app, remembered, work)
    if remembered and remembered.number and walk.met != remembered.hash:
        _explain(remembered, walk, accepted=accept_restore)
    _check_end(walk.end, promised)
    _remember(app, walk)
    return Verified(walk.end.number, walk.end.hash, remembered.number if remembered else None)


def _walk(app: App, remembered: Head | None, work: Progress) -> _Walk:
    walk = _Walk(Head(0, GENESIS))
    known = remembered or walk.end
    while rows := _page(app, walk.end.number):
        walk.end = Head(*verify_rows(rows, previous=walk.end.hash, number=walk.end.number))
        for row in rows:
            if row.number == known.number:
                walk.met = row.hash
            if row.action == _RESTORE:
                walk.restore_hash = row.hash
                new = row.hash != known.restore_hash
                walk.restored = row if new and row.number <= known.number else walk.restored
        work.step(len(rows))
    return walk


def _explain(remembered: Head, walk: _Walk, *, accepted: bool) -> None:
    """Say why the remembered row is not there, unless a person knows and accepts it."""
    if walk.restored is not None:
        if not accepted:
            raise _went_back(remembered, walk.restored)
        return
    if walk.met:
        raise NotVerified(
            f"row {remembered.number} is not the one that was verified before: the ledger was"
            " rewritten",
            subject="ledger",
            code="ledger-rewritten",
            remedy="Compare with a backup and with other operators' heads; somebody had write"
            " access to the database",
        )
    raise NotVerified(
        f"the ledger ends at row {walk.end.number}, but row {remembered.number} was verified"
        " before: rows were removed",
        subject="ledger",
        code="ledger-rolled-back",
        remedy="An old backup may have been put back without penguind restore; if not, somebody"
        " had write access to the database",
    )


def _went_back(remembered: Head, row: ledger_pb2.LedgerRow) -> NotVerified:
    try:
        made = printable(str(json.loads(row.details)["backup_time"]))
    except (ValueError, KeyError, TypeError):
        made = "an unknown time"
    return NotVerified(
        f"the ledger went back: row {row.number} says that the server was restored on"
        f" {moments.iso(row.time_unix_ms)} from a backup of {made}; rows {row.number} to"
        f" {remembered.number} that were verified before are lost",
        subject="ledger",
        code="ledger-restored",
        remedy="Ask the server's administrator whether that is so, and do again what was done"
        " between the two, e.g. revocations; then: penguinctl ledger verify --accept-restore",
    )


def _page(app: App, after: int) -> list[ledger_pb2.LedgerRow]:
    request = wire.ledger_pb2.ListLedgerRequest(after=after, limit=_PAGE)
    return list(app.call("ledger.ListLedger", request).rows)


def _promised(app: App) -> Head:
    request = wire.ledger_pb2.GetLedgerHeadRequest()
    response: ledger_pb2.GetLedgerHeadResponse = app.call("ledger.GetLedgerHead", request)
    return Head(response.number, response.hash)


def _check_end(found: Head, promised: Head) -> None:
    if found.number < promised.number:
        raise NotVerified(
            f"the server says that there are {promised.number} rows, but gives {found.number}",
            subject="ledger",
            code="ledger-incomplete",
        )


def _remembered(app: App) -> Head | None:
    if not app.folder.has(_FILE):
        return None
    try:
        value = json.loads(app.folder.read(_FILE))
        restore = bytes.fromhex(value.get("restore_hash", ""))
        return Head(int(value["number"]), bytes.fromhex(value["hash"]), restore)
    except (ValueError, KeyError, TypeError) as error:
        raise Damaged(
            "the remembered ledger head cannot be understood",
            subject=str(app.folder.path / _FILE),
            remedy="Restore it from a backup; removing it forgets what was verified before",
        ) from error


def _remember(app: App, walk: _Walk) -> None:
    value = {
        "number": walk.end.number,
        "hash": walk.end.hash.hex(),
        "restore_hash": walk.restore_hash.hex(),
    }
    app.folder.write(_FILE, json.dumps(value).encode())
