"""Who may have which leg of which session, and how many sessions there may be."""

from __future__ import annotations

import asyncio
import time
from typing import TYPE_CHECKING, NoReturn

from penguind.shells.live import LiveSession
from penguind.workers import heed_cancellation
from penguindome.errors import Forbidden, LimitExceeded, NotFound, PreconditionFailed
from penguindome.orders.shell_body import shell_body
from penguindome.payload import read_payload

if TYPE_CHECKING:
    from collections.abc import Callable

    from penguind.domain.order import Order, Target
    from penguind.orders.hub import Hub
    from penguind.store.order_targets import OrderTargetStore
    from penguind.store.orders import OrderStore

# A session without any leg is forgotten after this; either end can open it anew.
FORGET_SECONDS = 600.0
LOOK_SECONDS = 10.0
SESSIONS = 20
SESSIONS_OF_DEVICE = 4
SESSIONS_OF_OPERATOR = 8


class ShellDesk:
    """The live sessions of this process.

    Args:
        orders: where shell orders are.
        targets: what became of them.
        hub: wakes when something changed.
        steady: seconds that never jump.
    """

    def __init__(
        self,
        orders: OrderStore,
        targets: OrderTargetStore,
        hub: Hub,
        *,
        steady: Callable[[], float] = time.monotonic,
    ) -> None:
        self._orders = orders
        self._targets = targets
        self._hub = hub
        self._steady = steady
        self._live: dict[str, LiveSession] = {}

    async def of_operator(self, order_id: str, operator: str) -> LiveSession:
        """Return the session that an operator's own order opened.

        Raises:
            NotFound: There is no such shell order.
            Forbidden: It is another operator's.
            PreconditionFailed: It ended, or needs further signatures.
            LimitExceeded: There are too many sessions.
        """
        order = await self._shell_order(order_id)
        if order.by != operator or operator not in order.signed_by:
            raise Forbidden(
                "the session is another operator's",
                code="not-your-session",
                subject=order_id,
                remedy="watch it with penguinctl session watch, or open one of your own",
            )
        if order.missing:
            raise PreconditionFailed(
                f"the session needs {order.missing} further signature(s)",
                code="waiting-signature",
                subject=order_id,
                remedy=f"another operator approves it: penguinctl order approve {order_id}",
            )
        target = await self._target(order)
        if target.is_final:
            _ended(target)
        if _is_moderated(order) and not _others(order):
            raise PreconditionFailed(
                "nobody else signed it who could watch",
                code="no-moderator",
                subject=order_id,
                remedy="penguinctl trust propose --threshold shell=2",
            )
        try:
            self._check_room(order, target)
        except LimitExceeded as error:
            # The device has the order, and would wait for its operator.
            self._session(order, target).end(error.reason)
            raise
        return self._session(order, target)

    async def of_device(self, order_id: str, device_id: str) -> LiveSession:
        """Return the session of a device.

        Raises:
            NotFound: There is no such order for this device.
            PreconditionFailed: It ended.
        """
        order = await self._shell_order(order_id)
        target = await self._target(order)
        if target.device_id != device_id:
            raise _none(order_id)
        if target.is_final:
            _ended(target)
        return self._session(order, target)

    def live(self, order_id: str) -> LiveSession | None:
        """Return a session that goes on in this process."""
        return self._live.get(order_id)

    async def ending(self, session: LiveSession) -> None:
        """Wait until the order of a session ended, and tell it."""
        with self._hub.watching(session.order_id) as changed:
            while True:
                target = await self._targets.get(session.order_id, session.device_id)
                if target is None or target.is_final:
                    how = ("ended", "") if target is None else (target.state, target.reason)
                    session.over(*how)
                    return
                changed.clear()
                try:
                    async with asyncio.timeout(LOOK_SECONDS):
                        await changed.wait()
                except TimeoutError:
                    continue

    async def end(self, order_id: str, reason: str) -> None:
        """End a session that goes on here.

        Raises:
            NotFound: There is none.
        """
        session = self._live.get(order_id)
        if session is None or (session.lost_at is not None and session.ended_reason):
            raise NotFound(
                "there is no such open session",
                code="no-session",
                subject=order_id[:64],
                remedy="penguinctl session list --open shows those there are",
            )
        session.end(reason)

    def end_of_operator(self, operator: str, reason: str) -> None:
        """End whatever an operator has open: who was revoked has nothing."""
        for session in list(self._live.values()):
            if session.operator == operator:
                session.end(reason)

    async def run(self) -> NoReturn:
        """Forget sessions without legs; runs until cancelled."""
        while True:
            await asyncio.sleep(LOOK_SECONDS)
            heed_cancellation()
            before = self._steady() - FORGET_SECONDS
            for order_id, session in list(self._live.items()):
                if session.lost_at is not None and session.lost_at < before:
                    del self._live[order_id]

    def now(self) -> float:
        """Return the time by which losses are told."""
        return self._steady()

    def _session(self, order: Order, target: Target) -> LiveSession:
        session = self._live.get(order.order_id)
        if session is None:
            session = LiveSession(
                order_id=order.order_id,
                device_id=target.device_id,
                operator=order.by,
                moderators=_others(order) if _is_moderated(order) else frozenset(),
            )
            self._live[order.order_id] = session
        session.lost_at = None
        return session

    def _check_room(self, order: Order, target: Target) -> None:
        others = [
            one
            for one in self._live.values()
            if one.order_id != order.order_id and one.lost_at is None and not one.ended_reason
        ]
        there = [one for one in others if one.device_id == target.device_id]
        if sum(one.operator == order.by for one in others) >= SESSIONS_OF_OPERATOR:
            raise _too_many(f"you have {SESSIONS_OF_OPERATOR} sessions open")
        if len(there) >= SESSIONS_OF_DEVICE:
            raise _too_many(f"{SESSIONS_OF_DEVICE} sessions are open on this device")
        if len(others) >= SESSIONS:
            raise _too_many(f"{SESSIONS} sessions are open on this server")

    async def _shell_order(self, order_id: str) -> Order:
        order = await self._orders.get(order_id)
        if order is None or order.kind != "shell":
            raise _none(order_id)
        return order

    async def _target(self, order: Order) -> Target:
        found = await self._targets.of_order(order.order_id)
        if not found:
            raise _none(order.order_id)
        return found[0]


def _is_moderated(order: Order) -> bool:
    return shell_body(read_payload(order.envelope.payload).body).moderated


def _others(order: Order) -> frozenset[str]:
    return frozenset(order.signed_by) - {order.by}


def _none(order_id: str) -> NotFound:
    return NotFound("there is no such shell order", code="no-session", subject=order_id[:64])


def _ended(target: Target) -> NoReturn:
    raise PreconditionFailed(
        f"the session has ended: {target.reason or target.state}",
        code="session-ended",
        subject=target.order_id,
    )


def _too_many(reason: str) -> LimitExceeded:
    return LimitExceeded(
        reason, code="too-many-sessions", remedy="end one: penguinctl session list --open"
    )
