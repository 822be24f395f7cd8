"""What this device was ordered to do, and what became of it, in words for its user.

Nothing secret is in it, since every local user may ask: what a command's arguments or a script are
is left out.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from penguin_agent.orders.records import Part, Record, part_from, record_from
from penguin_agent.orders.refusals import Refused, refused_from
from penguin_agent.orders.store_file import reading
from penguindome.times import to_iso

if TYPE_CHECKING:
    import sqlite3
    from datetime import datetime
    from pathlib import Path

    from penguin_agent.orders.store_file import StoreFile

LIMIT = 1000
_ORDERS = (
    "SELECT * FROM orders JOIN parts USING (order_id) WHERE parts.part = '' AND order_id LIKE ?"
    " ORDER BY taken_ms DESC, orders.rowid DESC LIMIT ?"
)
_REFUSED = "SELECT * FROM refused WHERE order_id LIKE ? ORDER BY last_ms DESC, rowid DESC LIMIT ?"


def history(file: StoreFile, beginning: str = "") -> list[dict[str, Any]]:
    """Return orders whose ids begin so, the newest first; [] while the memory is not open."""
    if not file.is_open:
        return []
    with file.transaction() as connection:
        return _words(connection, beginning)


def history_of_file(path: Path, beginning: str = "") -> list[dict[str, Any]]:
    """Return the same while no daemon runs; needs the right to read the file."""
    if not path.exists():
        return []
    with reading(path) as connection:
        return _words(connection, beginning)


def _words(connection: sqlite3.Connection, beginning: str) -> list[dict[str, Any]]:
    # Ids have no wildcards in them; whatever else was asked for is no id's beginning.
    pattern = "".join(filter(str.isalnum, beginning.upper())) + "%"
    found = [
        _order_words(record_from(row), _parts(connection, row["order_id"]))
        for row in connection.execute(_ORDERS, (pattern, LIMIT))
    ]
    found += [
        _refused_words(refused_from(row)) for row in connection.execute(_REFUSED, (pattern, LIMIT))
    ]
    return sorted(found, key=lambda words: str(words["time"]), reverse=True)[:LIMIT]


def _parts(connection: sqlite3.Connection, order_id: str) -> list[Part]:
    rows = connection.execute(
        "SELECT * FROM parts WHERE order_id = ? AND part != '' ORDER BY part", (order_id,)
    )
    return [part_from(row) for row in rows]


def _order_words(record: Record, parts: list[Part]) -> dict[str, Any]:
    return {
        "order_id": record.order_id,
        "kind": record.kind,
        "what": record.summary,
        "by": record.by,
        "reason": record.reason,
        "signed": True,
        "times": 1,
        "time": to_iso(record.taken_time),
        "issued_time": to_iso(record.issued_time),
        "expires_time": to_iso(record.expires_time),
        **_part_words(record.whole),
        "parts": [{"part": one.part, **_part_words(one)} for one in parts],
    }


def _part_words(part: Part) -> dict[str, Any]:
    return {
        "state": part.state,
        "code": part.code,
        "outcome": part.why,
        "exit_code": part.exit_code,
        "started_time": _moment(part.started_time),
        "ended_time": _moment(part.ended_time),
    }


def _refused_words(refused: Refused) -> dict[str, Any]:
    """Return the words about what operators did not sign: its id and kind are anybody's word."""
    return {
        "order_id": refused.order_id,
        "kind": refused.kind,
        "what": "",
        "by": "",
        "reason": "",
        "signed": False,
        "times": refused.times,
        "time": to_iso(refused.last_time),
        "issued_time": "",
        "expires_time": "",
        "state": "refused",
        "code": refused.code,
        "outcome": refused.why,
        "exit_code": None,
        "started_time": "",
        "ended_time": "",
        "parts": [],
    }


def _moment(value: datetime | None) -> str:
    return "" if value is None else to_iso(value)
