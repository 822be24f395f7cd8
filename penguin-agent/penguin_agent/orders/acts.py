"""What the engine of orders hands to those who act, and what it gets back."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Protocol

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import datetime

    from penguindome.envelope import Envelope
    from penguindome.orders.opening import Body


@dataclass(frozen=True, slots=True)
class Order:
    """An order that may be acted on.

    Attributes:
        order_id: Its id.
        kind: Its kind's name.
        body: What it wants.
        number: A release's number; 0 for others.
        by: Who wrote it.
        reason: Why, in the operator's words.
        issued_time: When it was written.
        expires_time: After which nothing new may begin.
        envelope: What was received and verified, for whoever keeps or names it.
    """

    order_id: str
    kind: str
    body: Body
    number: int
    by: str
    reason: str
    issued_time: datetime
    expires_time: datetime
    envelope: Envelope


@dataclass(frozen=True, slots=True)
class Outcome:
    """How an order, or a part of it, ended.

    Attributes:
        state: A final state, see penguindome.orders.receipts.FINAL.
        reason: Why, for people.
        code: Why, for machines.
        exit_code: Of a program that ended by itself.
        truncated: Whether more was printed than was kept.
        details: What the kind adds to the receipt.
    """

    state: str
    reason: str = ""
    code: str = ""
    exit_code: int | None = None
    truncated: bool = False
    details: Mapping[str, Any] = field(default_factory=dict)


class Progress(Protocol):
    """How an act tells what happens; everything is on disk when a call returns."""

    def running(self, *, part: str = "", details: Mapping[str, Any] | None = None) -> None:
        """Note that the act, or a part of it, began or went on; before anything is done."""

    def output(self, stream: str, data: bytes, *, part: str = "") -> bool:
        """Keep what a program printed on `stdout` or `stderr`; False when it is over the limit."""

    def ended(self, part: str, outcome: Outcome) -> None:
        """Note how a part ended; the act's own outcome is what `run` returns."""


class Act(Protocol):
    """Acts on orders of one kind."""

    async def run(self, order: Order, progress: Progress) -> Outcome:
        """Act; called at most once for each order. Raising means that it failed.

        When it is cancelled (the order was called off, or the agent ends), it leaves nothing
        running, unless it runs on by itself on purpose.
        """

    async def resume(self, order: Order, progress: Progress) -> Outcome:
        """Say what became of an order that was running when the agent ended; never starts it again.

        Acts that cannot go on by themselves clean up what was left and say `interrupted`.
        """
