"""Remember orders: each id, what became of it, and what is still to be said about it.

At most once: an order is written down before it is acted on, and what is written down is never
acted on again. Ids are kept for 30 days longer than the order was valid. What an order ended as
stands for ever: the first end counts.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING, Any

from penguin_agent.boot_id import boot_id
from penguin_agent.clock import boottime
from penguin_agent.failpoints import no_failpoint
from penguin_agent.orders.acts import Outcome
from penguin_agent.orders.outbox import Outbox
from penguin_agent.orders.records import Record, record_from, summary_of
from penguin_agent.orders.refusals import Refusals
from penguin_agent.orders.store_file import StoreFile, get_meta, set_meta
from penguin_agent.orders.voice import Kept, worded
from penguindome.envelope import CLOCK_TOLERANCE
from penguindome.envelope_json import to_json
from penguindome.orders.receipts import FINAL
from penguindome.strict_json import canonical_json
from penguindome.times import from_unix_ms, to_unix_ms

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Mapping
    from datetime import datetime
    from pathlib import Path

    from penguin_agent.failpoints import Failpoint
    from penguin_agent.orders.voice import Voice
    from penguindome.envelope import Envelope, Payload
    from penguindome.orders.opening import Opened
    from penguindome.orders.receipts import Receipt

REMEMBERED = timedelta(days=30)
_NOTHING = Kept()
_SELECT = "SELECT * FROM orders JOIN parts USING (order_id) WHERE parts.part = ''"


@dataclass(frozen=True, slots=True)
class Birth:
    """Since when orders are remembered, and whether there was a memory before, now lost."""

    time: datetime
    lost: bool


class OrderStore:
    """The orders of one device.

    Args:
        state_dir: Where the folder `orders` is.
        voice: Seals receipts.
        failpoint: For tests of crashes.
    """

    def __init__(self, state_dir: Path, voice: Voice, failpoint: Failpoint = no_failpoint) -> None:
        self.file = StoreFile(state_dir)
        self.outbox = Outbox(self.file, voice)
        self.refusals = Refusals(self.file, self.outbox)
        self.voice = voice
        self._failpoint = failpoint

    def open(self, now: datetime) -> None:
        """Open the file; see StoreFile.open."""
        self.file.open(now)

    def birth(self, now: datetime) -> Birth:
        """Return since when orders are remembered.

        The clock may have been behind then, as after an empty battery, and right by now: then the
        seconds since, which nobody can set, say when it was.
        """
        with self.file.transaction() as connection:
            moment = from_unix_ms(int(get_meta(connection, "birth_ms")))
            boot, _, seconds = get_meta(connection, "birth_boot").partition(" ")
            if boot == boot_id():
                found = now - timedelta(seconds=boottime() - float(seconds))
                if found > moment + CLOCK_TOLERANCE:
                    set_meta(connection, "birth_ms", str(to_unix_ms(found)))
                moment = max(moment, found)
            return Birth(moment, bool(get_meta(connection, "lost")))

    def find(self, order_id: str) -> Record | None:
        """Return an order that was judged before."""
        with self.file.transaction() as connection:
            return _find(connection, order_id)

    def unfinished(self) -> list[Record]:
        """Return orders that have not ended, in the order in which they came."""
        with self.file.transaction() as connection:
            rows = connection.execute(
                f"{_SELECT} AND state IN ('accepted', 'running') ORDER BY orders.rowid"
            )
            return [record_from(row) for row in rows]

    def highest(self, fleet: str) -> tuple[int, str]:
        """Return the highest number of a release so far, and its payload's hash."""
        with self.file.transaction() as connection:
            number, _, digest = get_meta(connection, f"release/{fleet}").partition(" ")
            return int(number or 0), digest

    def accept(self, opened: Opened, envelope: Envelope, now: datetime) -> None:
        """Write an order down that will be acted on; its id must be new."""
        payload = opened.payload
        with self.file.transaction() as connection:
            self._insert(connection, payload, summary_of(opened.body), envelope, now)
            self._set(connection, payload.id, "", Outcome("accepted"), now=now)
            if payload.seq is not None:
                words = f"{payload.seq} {sha256(envelope.payload)}"
                set_meta(connection, f"release/{payload.fleet}", words)
            self._failpoint("orders.accepting")
        self._failpoint("orders.accepted")

    def refuse(
        self,
        payload: Payload,
        envelope: Envelope,
        outcome: Outcome,
        now: datetime,
        summary: str = "",
    ) -> None:
        """Write an order down that operators signed and that is not acted on; its id is new."""
        with self.file.transaction() as connection:
            self._insert(connection, payload, summary, envelope, now)
            self._set(connection, payload.id, "", outcome, now=now)
        self._failpoint("orders.refused")

    def running(
        self,
        order_id: str,
        part: str,
        details: Mapping[str, Any],
        now: datetime,
        kept: Kept = _NOTHING,
    ) -> bool:
        """Note that an order, or a part of it, began or went on; False if it had ended."""
        with self.file.transaction() as connection:
            began = Outcome("running", details=details)
            done = self._set(connection, order_id, part, began, now=now, kept=kept)
        self._failpoint("orders.running")
        return done

    def finish(
        self, order_id: str, part: str, outcome: Outcome, now: datetime, kept: Kept = _NOTHING
    ) -> bool:
        """Note how an order, or a part of it, ended; False if it had ended before."""
        with self.file.transaction() as connection:
            done = self._set(connection, order_id, part, outcome, now=now, kept=kept)
            if not part:
                connection.execute(
                    "UPDATE orders SET envelope = NULL WHERE order_id = ?", (order_id,)
                )
            self._failpoint("orders.finishing")
        self._failpoint("orders.finished")
        return done

    def answer_again(self, order_id: str, now: datetime) -> None:
        """Have the last word about an order said once more: the server asks."""
        with self.file.transaction() as connection:
            connection.execute("UPDATE orders SET unwanted = 0 WHERE order_id = ?", (order_id,))
            if self.outbox.repeat(connection, order_id):
                return
            if (record := _find(connection, order_id)) is not None:
                whole = record.whole
                outcome = Outcome(
                    whole.state,
                    whole.why,
                    whole.code,
                    whole.exit_code,
                    whole.truncated,
                    whole.details,
                )
                row = _part(connection, order_id, "")
                kept = Kept(row["stdout_bytes"], row["stderr_bytes"])
                bare = self.voice.receipt(order_id, "", whole.state, row["number"], now)
                self._say(connection, worded(bare, outcome, kept))

    def forget(self, now: datetime) -> list[str]:
        """Forget what ended long ago; returns the ids."""
        before_ms = to_unix_ms(now - REMEMBERED)
        with self.file.transaction() as connection:
            rows = connection.execute(
                f"{_SELECT} AND expires_ms < ? AND taken_ms < ?"
                " AND state NOT IN ('accepted', 'running')",
                (before_ms, before_ms),
            ).fetchall()
            gone = [str(row["order_id"]) for row in rows]
            for table in ("orders", "parts", "receipts", "outputs"):
                connection.executemany(
                    f"DELETE FROM {table} WHERE order_id = ?",  # noqa: S608 -- our own names
                    [(one,) for one in gone],
                )
            self.refusals.forget(connection, now)
        return gone

    def _insert(
        self,
        connection: sqlite3.Connection,
        payload: Payload,
        summary: str,
        envelope: Envelope,
        now: datetime,
    ) -> None:
        connection.execute(
            "INSERT INTO orders VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, 0)",
            (
                payload.id,
                payload.kind,
                summary,
                payload.by,
                payload.reason,
                payload.seq or 0,
                to_unix_ms(payload.issued_time),
                to_unix_ms(payload.expires_time),
                to_unix_ms(now),
                sha256(envelope.payload),
                to_json(envelope),
            ),
        )

    def _set(
        self,
        connection: sqlite3.Connection,
        order_id: str,
        part: str,
        outcome: Outcome,
        *,
        now: datetime,
        kept: Kept = _NOTHING,
    ) -> bool:
        """Write a state and the receipt that tells it; False if the part had ended before."""
        former = _part(connection, order_id, part)
        if former is not None and former["state"] in FINAL:
            return False
        number = 1 if former is None else former["number"] + 1
        now_ms = to_unix_ms(now)
        began = former["started_ms"] if former is not None else None
        if outcome.state == "running" and began is None:
            began = now_ms
        connection.execute(
            "INSERT OR REPLACE INTO parts VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
            (
                order_id,
                part,
                outcome.state,
                outcome.code,
                outcome.reason,
                outcome.exit_code,
                int(outcome.truncated),
                canonical_json(dict(outcome.details)).decode(),
                kept.stdout_bytes,
                kept.stderr_bytes,
                began,
                now_ms if outcome.state in FINAL else None,
                number,
            ),
        )
        bare = self.voice.receipt(order_id, part, outcome.state, number, now)
        self._say(connection, worded(bare, outcome, kept))
        return True

    def _say(self, connection: sqlite3.Connection, receipt: Receipt) -> None:
        self.outbox.add(connection, self.voice.seal(receipt), receipt.order_id, receipt.part)


def sha256(data: bytes) -> str:
    """Return a hash, hexadecimal."""
    return hashlib.sha256(data).hexdigest()


def _find(connection: sqlite3.Connection, order_id: str) -> Record | None:
    row = connection.execute(f"{_SELECT} AND order_id = ?", (order_id,)).fetchone()
    return None if row is None else record_from(row)


def _part(connection: sqlite3.Connection, order_id: str, part: str) -> Any:
    return connection.execute(
        "SELECT * FROM parts WHERE order_id = ? AND part = ?", (order_id, part)
    ).fetchone()
