"""Remember what was refused without good signatures, and what was called off before it came.

Trust: nothing about an envelope without good signatures is known but its bytes. It is known again
by their hash; the id that it claims keeps no other order with that id from being acted on.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING

from penguindome.times import from_unix_ms, to_unix_ms

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Iterable
    from datetime import datetime

    from penguin_agent.orders.outbox import Outbox
    from penguin_agent.orders.store_file import StoreFile
    from penguindome.orders.receipts import SealedReceipt

REFUSED_LIMIT = 500
CLAIMED_LIMIT = 64
CALLED_OFF_LIMIT = 10_000
# For so long the device tells of what it refused.
COUNTED = timedelta(days=7)
_WHY_LIMIT = 300
_REMEMBERED = timedelta(days=60)


@dataclass(frozen=True, slots=True)
class Refused:
    """An envelope that nobody who may had signed.

    Attributes:
        digest: SHA-256 of its kind and payload, hexadecimal.
        order_id: The id that it claims; "" if it has none.
        kind: The kind that it claims.
        code: Why, for machines.
        why: Why, for people.
        first_time: When it came first.
        last_time: When it came last.
        times: How often it came.
    """

    digest: str
    order_id: str
    kind: str
    code: str
    why: str
    first_time: datetime
    last_time: datetime
    times: int = 1


class Refusals:
    """Rows in the database.

    Args:
        file: The database.
        outbox: Sends receipts.
    """

    def __init__(self, file: StoreFile, outbox: Outbox) -> None:
        self._file = file
        self._outbox = outbox

    def add(self, refused: Refused, sealed: SealedReceipt | None) -> None:
        """Note an envelope; its receipt is sent once, and only if few wait."""
        with self._file.transaction() as connection:
            changed = connection.execute(
                "UPDATE refused SET times = times + 1, last_ms = ?, code = ?, why = ?"
                " WHERE digest = ?",
                (
                    to_unix_ms(refused.last_time),
                    refused.code,
                    refused.why[:_WHY_LIMIT],
                    refused.digest,
                ),
            ).rowcount
            if not changed:
                self._insert(connection, refused, sealed)

    def count(self, now: datetime) -> tuple[int, str]:
        """Return how many envelopes were refused within a week, and why the last one was."""
        with self._file.transaction() as connection:
            rows = connection.execute(
                "SELECT why FROM refused WHERE last_ms >= ? ORDER BY last_ms DESC, rowid DESC",
                (to_unix_ms(now - COUNTED),),
            ).fetchall()
        return len(rows), rows[0]["why"] if rows else ""

    def call_off(self, order_ids: Iterable[str], kind: str, by_order: str, until: datetime) -> None:
        """Note orders that are called off before they came."""
        with self._file.transaction() as connection:
            connection.executemany(
                "INSERT OR REPLACE INTO called_off VALUES (?, ?, ?, ?)",
                [(one, kind, by_order, to_unix_ms(until)) for one in order_ids],
            )
            connection.execute(
                # By kind: who may call off one kind must not make us forget about another.
                "DELETE FROM called_off WHERE kind = ? AND rowid NOT IN"
                " (SELECT rowid FROM called_off WHERE kind = ? ORDER BY rowid DESC LIMIT ?)",
                (kind, kind, CALLED_OFF_LIMIT),
            )

    def called_off(self, order_id: str) -> dict[str, str]:
        """Return the kinds as which an order was called off, and by which order each."""
        with self._file.transaction() as connection:
            rows = connection.execute(
                "SELECT kind, by_order FROM called_off WHERE order_id = ?", (order_id,)
            ).fetchall()
        return {row["kind"]: row["by_order"] for row in rows}

    def forget(self, connection: sqlite3.Connection, now: datetime) -> None:
        """Forget what is too old to come again."""
        connection.execute("DELETE FROM called_off WHERE until_ms < ?", (to_unix_ms(now),))
        connection.execute(
            "DELETE FROM refused WHERE last_ms < ?", (to_unix_ms(now - _REMEMBERED),)
        )

    def _insert(
        self, connection: sqlite3.Connection, refused: Refused, sealed: SealedReceipt | None
    ) -> None:
        moment = to_unix_ms(refused.first_time)
        connection.execute(
            "INSERT INTO refused VALUES (?, ?, ?, ?, ?, ?, ?, 1)",
            (
                refused.digest,
                refused.order_id,
                refused.kind,
                refused.code,
                refused.why[:_WHY_LIMIT],
                moment,
                moment,
            ),
        )
        connection.execute(
            "DELETE FROM refused WHERE rowid NOT IN"
            " (SELECT rowid FROM refused ORDER BY last_ms DESC, rowid DESC LIMIT ?)",
            (REFUSED_LIMIT,),
        )
        waiting = connection.execute("SELECT count(*) FROM receipts WHERE claimed").fetchone()[0]
        known = connection.execute(
            "SELECT 1 FROM orders WHERE order_id = ?", (refused.order_id,)
        ).fetchone()
        if sealed is not None and known is None and waiting < CLAIMED_LIMIT:
            self._outbox.add(connection, sealed, refused.order_id, "", claimed=True)


def refused_from(row: sqlite3.Row) -> Refused:
    """Return the refused envelope of a row."""
    return Refused(
        digest=row["digest"],
        order_id=row["order_id"],
        kind=row["kind"],
        code=row["code"],
        why=row["why"],
        first_time=from_unix_ms(row["first_ms"]),
        last_time=from_unix_ms(row["last_ms"]),
        times=row["times"],
    )
