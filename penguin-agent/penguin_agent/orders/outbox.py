"""What is still to be said about orders: sealed receipts in order, and how far output was sent."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from penguindome.orders.receipts import FINAL, SealedReceipt

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Iterable, Sequence

    from penguin_agent.orders.store_file import StoreFile
    from penguin_agent.orders.voice import Voice


@dataclass(frozen=True, slots=True, order=True)
class Stream:
    """One of a program's two outputs; part "" is the order's own program."""

    order_id: str
    part: str
    name: str


@dataclass(frozen=True, slots=True)
class Waiting:
    """A receipt that waits."""

    sequence: int
    order_id: str
    sealed: SealedReceipt


@dataclass(frozen=True, slots=True)
class Progressed:
    """How far a stream is acknowledged, bytes, and whether its order has ended."""

    stream: Stream
    acknowledged: int
    ended: bool


class Outbox:
    """Receipts and offsets in the database.

    Args:
        file: The database.
        voice: Seals again what an earlier key sealed.
    """

    def __init__(self, file: StoreFile, voice: Voice) -> None:
        self._file = file
        self._voice = voice

    def add(
        self,
        connection: sqlite3.Connection,
        sealed: SealedReceipt,
        order_id: str,
        part: str,
        *,
        claimed: bool = False,
    ) -> None:
        """Queue a receipt; `claimed` if its order's id is only the server's word."""
        unwanted = connection.execute(
            "SELECT 1 FROM orders WHERE order_id = ? AND unwanted", (order_id,)
        ).fetchone()
        if unwanted is None:
            connection.execute(
                "INSERT INTO receipts (order_id, part, payload, signature, claimed)"
                " VALUES (?, ?, ?, ?, ?)",
                (order_id, part, sealed.payload, sealed.signature, int(claimed)),
            )

    def repeat(self, connection: sqlite3.Connection, order_id: str) -> bool:
        """Queue the last receipts of an order and its parts again; False if none is left."""
        return (
            connection.execute(
                "UPDATE receipts SET sent = 0 WHERE sequence IN (SELECT max(sequence) FROM receipts"
                " WHERE order_id = ? AND NOT claimed GROUP BY part)",
                (order_id,),
            ).rowcount
            > 0
        )

    def unsent(self, limit_bytes: int, count: int) -> list[Waiting]:
        """Return receipts that wait, the oldest first; at least one if any waits."""
        with self._file.transaction() as connection:
            rows = connection.execute(
                "SELECT * FROM receipts WHERE NOT sent ORDER BY sequence LIMIT ?", (count,)
            ).fetchall()
        chosen: list[Waiting] = []
        used = 0
        for row in rows:
            used += len(row["payload"]) + len(row["signature"])
            if chosen and used > limit_bytes:
                break
            sealed = self._voice.again(SealedReceipt(row["payload"], row["signature"]))
            chosen.append(Waiting(row["sequence"], row["order_id"], sealed))
        return chosen

    def streams(self) -> list[Progressed]:
        """Return the streams that are not sent to their end."""
        with self._file.transaction() as connection:
            rows = connection.execute(
                "SELECT outputs.*, parts.state FROM outputs JOIN parts"
                " ON parts.order_id = outputs.order_id AND parts.part = ''"
                " ORDER BY outputs.order_id, outputs.part, outputs.stream"
            ).fetchall()
        return [
            Progressed(
                Stream(row["order_id"], row["part"], row["stream"]),
                row["acknowledged"],
                row["state"] in FINAL,
            )
            for row in rows
        ]

    def begin(self, stream: Stream) -> None:
        """Note that a stream has something to send."""
        with self._file.transaction() as connection:
            connection.execute(
                "INSERT OR IGNORE INTO outputs (order_id, part, stream)"
                " SELECT order_id, ?, ? FROM orders WHERE order_id = ? AND NOT unwanted",
                (stream.part, stream.name, stream.order_id),
            )

    def acknowledge(self, sequences: Iterable[int], offsets: Iterable[tuple[Stream, int]]) -> None:
        """Note what the server has: receipts, and each stream's bytes up to an offset."""
        with self._file.transaction() as connection:
            connection.executemany(
                "UPDATE receipts SET sent = 1 WHERE sequence = ?", [(one,) for one in sequences]
            )
            # Only the last word is kept, for when the server asks again.
            connection.execute(
                "DELETE FROM receipts WHERE sent AND (claimed OR sequence NOT IN"
                " (SELECT max(sequence) FROM receipts GROUP BY order_id, part))"
            )
            connection.executemany(
                "UPDATE outputs SET acknowledged = max(acknowledged, ?)"
                " WHERE order_id = ? AND part = ? AND stream = ?",
                [(offset, one.order_id, one.part, one.name) for one, offset in offsets],
            )

    def drop_streams(self, streams: Sequence[Stream]) -> None:
        """Forget streams that are sent to their end."""
        with self._file.transaction() as connection:
            connection.executemany(
                "DELETE FROM outputs WHERE order_id = ? AND part = ? AND stream = ?",
                [(one.order_id, one.part, one.name) for one in streams],
            )

    def unwanted(self, order_ids: Iterable[str]) -> None:
        """Say no more about orders that the server does not know."""
        ids = [(one,) for one in order_ids]
        with self._file.transaction() as connection:
            connection.executemany("DELETE FROM receipts WHERE order_id = ?", ids)
            connection.executemany("DELETE FROM outputs WHERE order_id = ?", ids)
            connection.executemany("UPDATE orders SET unwanted = 1 WHERE order_id = ?", ids)
