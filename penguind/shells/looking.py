"""Look sessions up for operators: their orders, what became of them, what was recorded."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from penguind.domain.order import UNFINISHED
from penguind.store.transcripts import Recorded
from penguindome.errors import NotFound
from penguindome.orders.shell_body import ShellBody, shell_body
from penguindome.payload import read_payload

if TYPE_CHECKING:
    from collections.abc import Sequence

    from penguind.domain.order import Order, Target
    from penguind.orders.looking import OrderLooking
    from penguind.shells.desk import ShellDesk
    from penguind.store.transcripts import TranscriptStore

KIND = "shell"


@dataclass(frozen=True, slots=True)
class SessionFacts:
    """One session; `watched_by` are the operators who watch now."""

    order: Order
    target: Target
    body: ShellBody
    recorded: Recorded
    watched_by: tuple[str, ...]


class SessionLooking:
    """Reads sessions; changes nothing."""

    def __init__(self, orders: OrderLooking, transcripts: TranscriptStore, desk: ShellDesk) -> None:
        self._orders = orders
        self._transcripts = transcripts
        self._desk = desk

    async def newest(
        self, limit: int, *, device: str, operator: str, only_open: bool
    ) -> list[SessionFacts]:
        """Return sessions, the newest first; empty conditions mean any."""
        states = UNFINISHED if only_open else ()
        found = await self._orders.newest(
            limit, kinds=[KIND], device=device, states=states, only_waiting=False
        )
        return await self._facts([one for one in found if operator in ("", one.by)])

    async def one(self, wanted: str) -> SessionFacts:
        """Return a session by its id or the beginning of it.

        Raises:
            NotFound: There is none.
        """
        try:
            order = await self._orders.one(wanted)
        except NotFound:
            raise _none("there is no such session", wanted[:64]) from None
        if order.kind != KIND:
            raise _none("this order is no session", order.order_id)
        (facts,) = await self._facts([order])
        return facts

    async def _facts(self, orders: Sequence[Order]) -> list[SessionFacts]:
        recorded = await self._transcripts.recorded([one.order_id for one in orders])
        found = []
        for order in orders:
            targets = await self._orders.targets(order)
            live = self._desk.live(order.order_id)
            found += [
                SessionFacts(
                    order,
                    target,
                    shell_body(read_payload(order.envelope.payload).body),
                    recorded.get(order.order_id, Recorded()),
                    tuple(sorted(set(live.watchers))) if live is not None else (),
                )
                for target in targets[:1]
            ]
        return found


def _none(reason: str, subject: str) -> NotFound:
    remedy = "penguinctl session list shows those there are"
    return NotFound(reason, code="no-session", subject=subject, remedy=remedy)
