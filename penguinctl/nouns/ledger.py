"""penguinctl ledger: what operators and administrators did."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from penguinctl import listing, moments, output, ui, wire
from penguinctl.app import App, pass_app
from penguinctl.listing import list_options
from penguinctl.output import Column, output_option

if TYPE_CHECKING:
    from collections.abc import Sequence

    from penguindome.v1 import ledger_pb2


@click.group()
def ledger() -> None:
    """The ledger: what operators did, in rows that are chained by hashes."""


@ledger.command(
    "list",
    epilog="""\b
Examples:
  penguinctl ledger list
  penguinctl ledger list --after 1200 --limit 50
""",
)
@click.option("--after", type=click.IntRange(0), help="Rows after this number. [default: newest]")
@click.option(
    "--limit", type=click.IntRange(1, 10_000), default=100, show_default=True, help="How many."
)
@list_options
@pass_app
def list_(app: App, *, after: int | None, limit: int, output_format: str) -> None:
    """Show rows, oldest first; without --after the newest ones."""
    if after is None:
        after = max(0, _head(app).number - limit)
    request = wire.ledger_pb2.ListLedgerRequest(after=after, limit=limit)
    rows: list[ledger_pb2.LedgerRow] = list(app.call("ledger.ListLedger", request).rows)
    if not rows:
        output.nothing(output_format, "No ledger rows.")
    listing.show(
        output_format,
        "rows",
        rows,
        _json,
        blank=wire.ledger_pb2.LedgerRow(),
        human=lambda items: _table(app, items),
    )


def _head(app: App) -> ledger_pb2.GetLedgerHeadResponse:
    request = wire.ledger_pb2.GetLedgerHeadRequest()
    response: ledger_pb2.GetLedgerHeadResponse = app.call("ledger.GetLedgerHead", request)
    return response


def _table(app: App, rows: Sequence[ledger_pb2.LedgerRow]) -> None:
    if not rows:
        return
    columns = (
        Column("ROW"),
        Column("TIME"),
        Column("WHO", shrinks=True),
        Column("WHAT"),
        Column("TARGET", shrinks=True),
        Column("DETAILS", shrinks=True),
    )
    cells = [
        (
            str(row.number),
            moments.short(row.time_unix_ms, app.now),
            row.actor,
            row.action,
            row.target or "-",
            output.compact(row.details) if row.details else "-",
        )
        for row in rows
    ]
    output.table(columns, cells)


def _json(row: ledger_pb2.LedgerRow) -> dict[str, Any]:
    return {
        "number": row.number,
        "time": moments.iso(row.time_unix_ms),
        "actor": row.actor,
        "action": row.action,
        "target": row.target,
        "details": output.loaded(row.details),
        "previous_hash": row.previous_hash.hex(),
        "hash": row.hash.hex(),
    }


@ledger.command(epilog="\b\nExample:\n  penguinctl ledger head\n")
@output_option
@pass_app
def head(app: App, output_format: str) -> None:
    """Show the newest row's number and hash, to be kept somewhere else."""
    newest = _head(app)
    value = {
        "number": newest.number,
        "hash": newest.hash.hex(),
        "time": moments.iso(newest.time_unix_ms),
    }
    rows: list[tuple[str, str | ui.Styled]] = [
        ("Row", str(newest.number)),
        ("Hash", newest.hash.hex() or "-"),
        ("Time", moments.local(newest.time_unix_ms, app.now)),
    ]
    output.answer(output_format, value, lambda: output.pairs(rows))


@ledger.command(epilog="\b\nExample:\n  penguinctl ledger verify\n")
@click.option(
    "--accept-restore",
    is_flag=True,
    help="Accept that the ledger went back, as it says itself, because a backup was restored.",
)
@output_option
@pass_app
def verify(app: App, *, accept_restore: bool, output_format: str) -> None:
    """Check the whole chain on this machine, from the first row on.

    The head is remembered: a ledger that was cut or rewritten since the last verification is
    noticed the next time. Ends with 7 if something is wrong.
    """
    from penguinctl.ledger_check import check_chain  # noqa: PLC0415 -- --help stays quick

    verified = check_chain(app, accept_restore=accept_restore)
    value = {
        "verified": True,
        "rows": verified.number,
        "hash": verified.hash.hex(),
        "remembered_row": verified.remembered_number,
    }
    output.answer(output_format, value, lambda: _verified(verified.number, verified.hash))
    if verified.remembered_number is None:
        ui.note("Nothing was remembered from before; from now on a rollback will be noticed.")


def _verified(number: int, digest: bytes) -> None:
    ui.out(f"The ledger's {number} rows are intact. Head: {digest.hex()}")
