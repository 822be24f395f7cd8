"""One order as this device remembers it, and what it is in a few words."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from penguindome.envelope_json import from_json
from penguindome.orders.bodies import CommandBody, PatchBody, WipeBody
from penguindome.orders.receipts import FINAL
from penguindome.orders.release_body import ReleaseBody
from penguindome.orders.shell_body import ShellBody
from penguindome.times import from_unix_ms

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Mapping
    from datetime import datetime

    from penguindome.envelope import Envelope
    from penguindome.orders.opening import Body

_SUMMARY_LIMIT = 200


@dataclass(frozen=True, slots=True)
class Part:
    """How an order, or a part of it, stands; part "" is the order itself."""

    part: str
    state: str
    code: str = ""
    why: str = ""
    exit_code: int | None = None
    truncated: bool = False
    details: Mapping[str, Any] = field(default_factory=dict)
    started_time: datetime | None = None
    ended_time: datetime | None = None

    @property
    def is_final(self) -> bool:
        """Tell whether nothing follows."""
        return self.state in FINAL


@dataclass(frozen=True, slots=True)
class Record:
    """An order.

    Attributes:
        order_id: Its id.
        kind: Its kind's name.
        summary: What it wants, in a few words.
        by: Who wrote it.
        reason: Why.
        number: A release's number; 0 for others.
        issued_time: When it was written.
        expires_time: After which nothing new begins.
        taken_time: When this device judged it.
        payload_sha256: Of the bytes that were signed, hexadecimal.
        whole: How it stands.
        envelope: As received, until the order ended; None afterwards.
    """

    order_id: str
    kind: str
    summary: str
    by: str
    reason: str
    number: int
    issued_time: datetime
    expires_time: datetime
    taken_time: datetime
    payload_sha256: str
    whole: Part
    envelope: Envelope | None = None


def summary_of(body: Body) -> str:
    """Return what an order wants in a few words, without what may be secret."""
    if isinstance(body, CommandBody):
        text = body.name
    elif isinstance(body, PatchBody):
        text = ", ".join(("" if one.entry else "-") + one.path for one in body.files)
    elif isinstance(body, ReleaseBody):
        text = body.label
    elif isinstance(body, WipeBody):
        text = body.level
    elif isinstance(body, ShellBody):
        text = f"{body.purpose} as {body.user}"
    else:
        text = ", ".join(body.order_ids)
    return text if len(text) <= _SUMMARY_LIMIT else text[: _SUMMARY_LIMIT - 1] + "…"


def record_from(row: sqlite3.Row) -> Record:
    """Return the record of a row of `orders` joined with the part ""."""
    return Record(
        order_id=row["order_id"],
        kind=row["kind"],
        summary=row["summary"],
        by=row["author"],
        reason=row["reason"],
        number=row["number"],
        issued_time=from_unix_ms(row["issued_ms"]),
        expires_time=from_unix_ms(row["expires_ms"]),
        taken_time=from_unix_ms(row["taken_ms"]),
        payload_sha256=row["payload_sha256"],
        whole=part_from(row),
        envelope=None if row["envelope"] is None else from_json(row["envelope"]),
    )


def part_from(row: sqlite3.Row) -> Part:
    """Return the part of a row of `parts`."""
    return Part(
        part=row["part"],
        state=row["state"],
        code=row["code"],
        why=row["why"],
        exit_code=row["exit_code"],
        truncated=bool(row["truncated"]),
        details=json.loads(row["details"]),
        started_time=_time(row["started_ms"]),
        ended_time=_time(row["ended_ms"]),
    )


def _time(number: int | None) -> datetime | None:
    return None if number is None else from_unix_ms(number)
