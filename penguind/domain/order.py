"""An order and its targets, as the server keeps them.

1. A target that waits or is queued was never sent: the server may end it by itself.
2. Once it was sent, the truth is the device's. What it says is signed; the first final word stays.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, replace
from datetime import timedelta
from typing import TYPE_CHECKING

from penguindome.orders.receipts import FINAL
from penguindome.strict_json import canonical_json

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from datetime import datetime

    from penguindome.envelope import Envelope
    from penguindome.orders.receipts import Receipt, SealedReceipt

NEVER_SENT = ("waiting", "queued")
UNFINISHED = (*NEVER_SENT, "sent", "accepted", "running")
TARGET_STATES = (*UNFINISHED, *FINAL)
NO_WORD_AFTER = timedelta(days=30)
#: What a program may print in kinds that do not say.
OUTPUT_LIMIT_BYTES = 1024 * 1024


@dataclass(frozen=True, slots=True)
class Order:
    """One order.

    Attributes:
        order_id: From the payload.
        kind: As in `penguindome.orders.kinds`.
        name: What the kind calls it.
        reason: Why, by the payload.
        by: Who wrote it, by the payload.
        envelope: What was signed.
        signed_by: Names of those whose signatures count, sorted.
        missing: How many further signatures it needs.
        issued_time: When it was written.
        expires_time: After which nothing new begins.
        submitted_time: When the server took it in.
        urgent: Whether it overtakes others.
        number: A release's; 0 for others.
        parts: Standing scripts of a release, which have targets of their own.
        cancels: Ids of the orders that it cancels.
        withdrawn_reason: Why it was withdrawn; empty if it was not.
        ended_time: When the last target ended; None before.
        revision: Grows with each change.
    """

    order_id: str
    kind: str
    name: str
    reason: str
    by: str
    envelope: Envelope
    signed_by: tuple[str, ...]
    missing: int
    issued_time: datetime
    expires_time: datetime
    submitted_time: datetime
    urgent: bool = False
    number: int = 0
    parts: tuple[str, ...] = ()
    cancels: tuple[str, ...] = ()
    withdrawn_reason: str = ""
    ended_time: datetime | None = None
    revision: int = 0


@dataclass(frozen=True, slots=True)
class Target:
    """One device of an order, or one part of a release's work on it.

    Attributes:
        order_id: The order.
        device_id: The device.
        hostname: What the operator was shown.
        kind: The order's.
        state: One of TARGET_STATES.
        expires_time: The order's.
        part: "" for the order itself.
        urgent: Whether it overtakes others.
        paths: What an unfinished patch changes, in lower case; empty for others.
        output_limit_bytes: What is kept of each stream.
        reason: Why, for people.
        code: Why, for machines.
        exit_code: A program's.
        stdout_bytes: How much the server holds.
        stderr_bytes: The same.
        stdout_kept: How much the device holds, by its last word.
        stderr_kept: The same.
        truncated: Whether there was more.
        details: Canonical JSON; empty if there are none.
        sent_time: When it was handed to the device's stream.
        started_time: When the device began, by its clock.
        ended_time: When the server heard, or decided, that it ended.
        vouched: Whether the state is the device's word.
        cancelling: Whether a cancellation is under way.
        number: The last receipt's; 0 before the first.
        receipt: The last one that counted.
        revision: Grows with each change.
    """

    order_id: str
    device_id: str
    hostname: str
    kind: str
    state: str
    expires_time: datetime
    part: str = ""
    urgent: bool = False
    paths: tuple[str, ...] = ()
    output_limit_bytes: int = OUTPUT_LIMIT_BYTES
    reason: str = ""
    code: str = ""
    exit_code: int | None = None
    stdout_bytes: int = 0
    stderr_bytes: int = 0
    stdout_kept: int = 0
    stderr_kept: int = 0
    truncated: bool = False
    details: bytes = b""
    sent_time: datetime | None = None
    started_time: datetime | None = None
    ended_time: datetime | None = None
    vouched: bool = False
    cancelling: bool = False
    number: int = 0
    receipt: SealedReceipt | None = None
    revision: int = 0

    @property
    def key(self) -> str:
        """Return the id of its record."""
        return target_key(self.order_id, self.device_id, self.part)

    @property
    def is_final(self) -> bool:
        """Tell whether it ended."""
        return self.state in FINAL

    def held(self, stream: str) -> int:
        """Return how many bytes of stdout or stderr the server holds."""
        return self.stdout_bytes if stream == "stdout" else self.stderr_bytes

    def holding(self, stream: str, size_bytes: int) -> Target:
        """Return it with so much of stdout or stderr held."""
        if stream == "stdout":
            return replace(self, stdout_bytes=size_bytes)
        return replace(self, stderr_bytes=size_bytes)

    def owes_output(self) -> bool:
        """Tell whether the device has more of what was printed than the server."""
        limit = self.output_limit_bytes
        return (
            min(self.stdout_kept, limit) > self.stdout_bytes
            or min(self.stderr_kept, limit) > self.stderr_bytes
        )

    def after(self, receipt: Receipt, sealed: SealedReceipt, now: datetime) -> Target | None:
        """Return what a device's word makes of it; None if it changes nothing.

        A final word counts whatever came before it, others only in the order of their numbers: so
        they may arrive in any order.
        """
        if self.is_final or (receipt.number <= self.number and not receipt.is_final):
            return None
        began = receipt.time if receipt.state == "running" else self.started_time
        return replace(
            self,
            state=receipt.state,
            reason=receipt.reason,
            code=receipt.code,
            exit_code=receipt.exit_code,
            stdout_kept=receipt.stdout_bytes,
            stderr_kept=receipt.stderr_bytes,
            truncated=self.truncated or receipt.truncated,
            details=canonical_json(dict(receipt.details)) if receipt.details else b"",
            started_time=began,
            ended_time=now if receipt.is_final else None,
            paths=() if receipt.is_final else self.paths,
            vouched=True,
            number=receipt.number,
            receipt=sealed,
        )


def target_key(order_id: str, device_id: str, part: str = "") -> str:
    """Return the id of a target's record."""
    return f"{order_id}/{device_id}/{part}"


def counted(targets: Iterable[Target]) -> Mapping[str, int]:
    """Return how many devices are in each state; parts do not count."""
    return Counter(one.state for one in targets if not one.part)


def kept_piece(offset: int, data: bytes, *, held: int, limit: int) -> tuple[int, bytes]:
    """Return what is new of a piece of output, and where it begins; empty if nothing is.

    What is held already is not taken twice, and nothing beyond the limit: however pieces overlap,
    no more than the limit is kept.
    """
    begin = max(offset, held)
    end = min(offset + len(data), limit)
    return (begin, data[begin - offset : end - offset]) if begin < end else (begin, b"")
