"""What the device's signed receipt of a session says of its recording."""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING

from penguinctl import wire
from penguindome.errors import Forbidden, InvalidInput
from penguindome.orders.receipts import SealedReceipt, open_receipt

if TYPE_CHECKING:
    from collections.abc import Sequence

    from penguinctl.app import App
    from penguindome.succession import HeldKey
    from penguindome.v1 import order_pb2


def recorded_chain(app: App, order_id: str, held: Sequence[HeldKey]) -> str:
    """Return the hash of the recording that the receipt names; "" where there is no receipt.

    Args:
        app: The running command.
        order_id: The shell order's.
        held: The device's keys.
    """
    request = wire.order_pb2.GetOrderRequest(order_id=order_id)
    answer: order_pb2.GetOrderResponse = app.call("order.GetOrder", request)
    if not answer.targets or not answer.targets[0].receipt.payload:
        return ""
    target = answer.targets[0]
    sealed = SealedReceipt(target.receipt.payload, target.receipt.signature)
    who = {"fleet": app.profile.fleet, "device_id": target.device_id}
    for one in reversed(held):
        with contextlib.suppress(Forbidden, InvalidInput):
            receipt = open_receipt(sealed, spki=one.spki, **who)
            return str(receipt.details.get("chain", ""))
    return "forged"
