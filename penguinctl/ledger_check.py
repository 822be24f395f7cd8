"""Verifying the ledger's chain without believing the server."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING

from penguinctl import wire
from penguinctl.exits import NotVerified
from penguinctl.progress import Progress
from penguindome.chain import GENESIS, verify_rows
from penguindome.errors import Damaged

if TYPE_CHECKING:
    from penguinctl.app import App
    from penguindome.v1 import ledger_pb2

_FILE = "ledger.json"
_PAGE = 1_000


@dataclass(frozen=True, slots=True)
class Head:
    """A row's number and hash."""

    number: int
    hash: bytes


@dataclass(frozen=True, slots=True)
class Verified:
    """What was verified, and which row was remembered from before; None for none."""

    number: int
    hash: bytes
    remembered_number: int | None


def check_chain(app: App) -> Verified:
    """Verify all rows and the remembered head, then remember the new one.

    Raises:
        Damaged: A row is missing or changed.
        NotVerified: The ledger is shorter than, or different from, what was verified before.
    """
    remembered = _remembered(app)
    promised = _promised(app)
    with Progress("Verifying rows", promised.number) as work:
        found, seen = _verify(app, remembered, work)
    _check_end(found, promised, remembered, seen=seen)
    _remember(app, found)
    return Verified(found.number, found.hash, remembered.number if remembered else None)


def _verify(app: App, remembered: Head | None, work: Progress) -> tuple[Head, bool]:
    """Return the last row, and whether the remembered one was met on the way."""
    found = Head(0, GENESIS)
    seen = remembered is None or remembered.number == 0
    while rows := _page(app, found.number):
        if remembered and found.number < remembered.number <= found.number + len(rows):
            _compare(remembered, _row_hash(rows, remembered.number))
            seen = True
        found = Head(*verify_rows(rows, previous=found.hash, number=found.number))
        work.step(len(rows))
    return found, seen


def _page(app: App, after: int) -> list[ledger_pb2.LedgerRow]:
    request = wire.ledger_pb2.ListLedgerRequest(after=after, limit=_PAGE)
    return list(app.call("ledger.ListLedger", request).rows)


def _promised(app: App) -> Head:
    request = wire.ledger_pb2.GetLedgerHeadRequest()
    response: ledger_pb2.GetLedgerHeadResponse = app.call("ledger.GetLedgerHead", request)
    return Head(response.number, response.hash)


def _row_hash(rows: list[ledger_pb2.LedgerRow], number: int) -> bytes:
    return next((row.hash for row in rows if row.number == number), b"")


def _compare(remembered: Head, found: bytes) -> None:
    if found != remembered.hash:
        raise NotVerified(
            f"row {remembered.number} is not the one that was verified before: the ledger was"
            " rewritten",
            subject="ledger",
            code="ledger-rewritten",
            remedy="Compare with a backup and with other operators' heads; somebody had write"
            " access to the database",
        )


def _check_end(found: Head, promised: Head, remembered: Head | None, *, seen: bool) -> None:
    if not seen and remembered:
        raise NotVerified(
            f"the ledger ends at row {found.number}, but row {remembered.number} was verified"
            " before: rows were removed",
            subject="ledger",
            code="ledger-rolled-back",
            remedy="An old backup may have been restored; if not, somebody had write access to"
            " the database",
        )
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
        return Head(int(value["number"]), bytes.fromhex(value["hash"]))
    except (ValueError, KeyError, TypeError) as error:
        raise Damaged(
            "the remembered ledger head cannot be understood",
            subject=str(app.folder.path / _FILE),
            remedy="Restore it from a backup; removing it forgets what was verified before",
        ) from error


def _remember(app: App, head: Head) -> None:
    value = {"number": head.number, "hash": head.hash.hex()}
    app.folder.write(_FILE, json.dumps(value).encode())
