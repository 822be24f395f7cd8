"""Take orders in from operators: checked as a device would, then stored, then sent.

1. Repeating a call is harmless: the same bytes under the same id get the same answer.
2. Who hands an order in, or approves it, is one of those who signed it.
3. An order is for devices that are there and were let in; the others are named.
4. A patch is refused where another one of the same paths has yet to be taken. Of two that come at
   the same time, the database lets one through.
"""

from __future__ import annotations

import asyncio
import hashlib
import hmac
from dataclasses import replace
from typing import TYPE_CHECKING

from penguind.domain.order_making import new_order
from penguind.domain.reason import checked_reason
from penguindome.errors import (
    AlreadyExists,
    Forbidden,
    InvalidInput,
    NotFound,
    PreconditionFailed,
    Unavailable,
)
from penguindome.orders.bodies import CancelBody
from penguindome.orders.kinds import KINDS
from penguindome.orders.opening import Opened, open_order
from penguindome.orders.release_body import ReleaseBody

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime

    from penguind.domain.order import Order
    from penguind.domain.rollout_plan import Plan
    from penguind.identity.trust import Trust
    from penguind.orders.endings import Endings
    from penguind.orders.intake import OrderIntake
    from penguind.orders.seams import Delivering, Releases
    from penguind.orders.upkeep import OrderUpkeep
    from penguind.store.orders import OrderStore
    from penguindome.envelope import Envelope
    from penguindome.times import Clock
    from penguindome.trust_document import TrustDocument

_ATTEMPTS = 10
_NAMED = 20


class OrderDesk:
    """Submits, approves and withdraws orders."""

    def __init__(
        self,
        *,
        intake: OrderIntake,
        orders: OrderStore,
        trust: Trust,
        endings: Endings,
        upkeep: OrderUpkeep,
        delivery: Delivering,
        releases: Releases,
        clock: Clock,
    ) -> None:
        self._intake = intake
        self._orders = orders
        self._trust = trust
        self._endings = endings
        self._upkeep = upkeep
        self._delivery = delivery
        self._releases = releases
        self._clock = clock

    async def submit(self, envelope: Envelope, plan: Plan | None, operator: str) -> Order:
        """Store an order, and have it sent once enough operators signed it.

        Args:
            envelope: As received.
            plan: How a release is rolled out; None for other kinds.
            operator: Who hands it in.

        Raises:
            Forbidden: As `open_order`; or the operator is not among the signers.
            InvalidInput: A plan stands beside something that is no release.
            AlreadyExists: Its id is another order's.
            PreconditionFailed: A device is not there, or a patch waits already; names them.
        """
        now = self._clock()
        trust = await self._trust.required()
        opened = await _opened(envelope, trust, now)
        names = {trust.operators[one] for one in opened.signers}
        _check_signer(operator, names)
        if (plan is not None) != isinstance(opened.body, ReleaseBody):
            raise InvalidInput("releases, and nothing else, have a plan", code="bad-plan")
        former = order = await self._orders.get(opened.payload.id)
        if order is None:
            await self._check(opened, plan, now)
            order = await self._intake.store(new_order(opened, envelope, names, now), opened)
        if (order.kind, order.envelope.payload) != (envelope.kind, envelope.payload):
            raise AlreadyExists("another order has this id", code="used-id", subject=order.order_id)
        return await self._act(order, opened, plan, now, repairs=former is not None)

    async def approve(
        self, order_id: str, payload_sha256: bytes, signature: bytes, operator: str
    ) -> Order:
        """Add an operator's signature; each signer counts once.

        Raises:
            NotFound: There is no such order.
            Forbidden: It is not the payload that was signed, or as in `submit`.
            AlreadyExists: The operator has signed it.
            PreconditionFailed: It was withdrawn, or all signatures are there.
        """
        for _ in range(_ATTEMPTS):
            now = self._clock()
            order = await self._expect(order_id)
            if signature in order.envelope.signatures:
                return order
            _check_open(order, payload_sha256, operator)
            trust = await self._trust.required()
            signatures = (*order.envelope.signatures, signature)
            envelope = replace(order.envelope, signatures=signatures)
            opened = await _opened(envelope, trust, now)
            names = {trust.operators[one] for one in opened.signers}
            _check_signer(operator, names)
            stored = await self._orders.sign(order, envelope, sorted(names), opened.missing)
            if stored is not None:
                return await self._act(stored, opened, None, now, repairs=True)
        raise Unavailable("too many operators approve the order at the same time")

    async def withdraw(self, order_id: str, reason: str) -> tuple[Order, int]:
        """Take an order back from devices that were not sent it; returns how many.

        Raises:
            NotFound: There is no such order.
            InvalidInput: The reason is too long.
            PreconditionFailed: It is a release, which has a way of its own.
        """
        order = await self._expect(order_id)
        if order.kind == "release":
            raise PreconditionFailed(
                "a release is not withdrawn like another order",
                code="is-release",
                subject=order_id,
                remedy=f"penguinctl release withdraw {order.number}",
            )
        text = checked_reason(reason) or "withdrawn"
        count = await self._endings.withdraw(order_id, text, self._clock())
        if order.kind == "patch":
            self._upkeep.patches_changed()
        return await self._expect(order_id), count

    async def _check(self, opened: Opened, plan: Plan | None, now: datetime) -> None:
        if plan is not None:
            await self._releases.check(opened, plan, now)
            return
        await self._releases.require(opened.body)
        await self._intake.check_devices(opened.payload.devices)
        if isinstance(opened.body, CancelBody):
            await self._check_cancelled(opened, opened.body.order_ids)

    async def _check_cancelled(self, opened: Opened, order_ids: Sequence[str]) -> None:
        """Refuse to call off what the signers' role does not order; unknown orders may be there."""
        named = await self._orders.get_many(order_ids)
        wrong = [
            one.order_id
            for one in named.values()
            if KINDS[one.kind].cancels or KINDS[one.kind].role != opened.kind.role
        ]
        if wrong:
            raise InvalidInput(
                f"a {opened.kind.name} does not call off {', '.join(sorted(wrong)[:_NAMED])}",
                code="wrong-order",
                remedy="penguinctl order show tells an order's kind",
            )

    async def _act(
        self,
        order: Order,
        opened: Opened,
        plan: Plan | None,
        now: datetime,
        *,
        repairs: bool = True,
    ) -> Order:
        """Do what an order that is stored calls for; repeating it is harmless.

        What was just stored for the first time is queued already, unless it cancels something.
        """
        if order.kind == "release":
            await self._releases.publish(order, opened, plan, now)
        elif order.kind == "patch":
            self._upkeep.patches_changed()
        if order.missing or order.ended_time is not None:
            return order
        device_ids = opened.payload.devices
        if device_ids and (repairs or order.cancels):
            await self._upkeep.activate(order, device_ids, now)
        self._delivery.want(device_ids)
        return await self._expect(order.order_id)

    async def _expect(self, order_id: str) -> Order:
        order = await self._orders.get(order_id)
        if order is None:
            raise no_order(order_id)
        return order


async def _opened(envelope: Envelope, trust: TrustDocument, now: datetime) -> Opened:
    return await asyncio.to_thread(
        open_order,
        envelope,
        trust=trust,
        fleet=trust.fleet,
        device_id=None,
        now=now,
        incomplete=True,
    )


def _check_signer(operator: str, names: set[str]) -> None:
    if operator not in names:
        raise Forbidden(
            "you are not among those whose signatures count",
            code="not-your-signature",
            subject=operator,
            remedy="sign it with your own key, or have one of the signers hand it in",
        )


def _check_open(order: Order, payload_sha256: bytes, operator: str) -> None:
    """Refuse a signature that is of no use."""
    digest = hashlib.sha256(order.envelope.payload).digest()
    if not hmac.compare_digest(digest, payload_sha256):
        raise Forbidden(
            "it is not this order that was approved",
            code="other-payload",
            subject=order.order_id,
            remedy="look at the order again: penguinctl order show",
        )
    if operator in order.signed_by:
        raise AlreadyExists("you have signed it", code="signed-already", subject=order.order_id)
    if order.withdrawn_reason or order.ended_time is not None:
        why = "was withdrawn" if order.withdrawn_reason else "has ended"
        raise PreconditionFailed(f"the order {why}", code="order-ended", subject=order.order_id)
    if not order.missing:
        raise PreconditionFailed(
            "the order has all signatures that it needs", code="complete", subject=order.order_id
        )


def no_order(order_id: str) -> NotFound:
    """Return the answer to an id that is no order's."""
    return NotFound(
        "there is no such order",
        code="no-order",
        subject=order_id[:64],
        remedy="penguinctl order list shows those there are",
    )
