"""What the device's signed receipt of a session says of its recording."""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING

from penguinctl import wire
from penguindome.errors import Forbidden, InvalidInput
from penguindome.orders.receipts import ABOUT_A_COPY, SealedReceipt, open_receipt

if TYPE_CHECKING:
    from collections.abc import Sequence

    from penguinctl.app import App
    from penguindome.orders.receipts import Receipt
    from penguindome.succession import HeldKey
    from penguindome.v1 import order_pb2


def recorded_chain(app: App, order_id: str, held: Sequence[HeldKey]) -> str | None:
    """Return the hash of the recording that the receipt names, "" where there was to be none.

    None where there is no word about the session's end, "forged" where it is not the device's.

    Args:
        app: The running command.
        order_id: The shell order's.
        held: The device's keys.
    """
    request = wire.order_pb2.GetOrderRequest(order_id=order_id)
    answer: order_pb2.GetOrderResponse = app.call("order.GetOrder", request)
    if not answer.targets or not answer.targets[0].receipt.payload:
        return None
    target = answer.targets[0]
    sealed = SealedReceipt(target.receipt.payload, target.receipt.signature)
    who = {"fleet": app.profile.fleet, "device_id": target.device_id}
    for one in reversed(held):
        with contextlib.suppress(Forbidden, InvalidInput):
            return _chain(open_receipt(sealed, spki=one.spki, **who), order_id)
    return "forged"


def _chain(receipt: Receipt, order_id: str) -> str | None:
    if receipt.order_id != order_id:
        return "forged"
    is_end = receipt.is_final and receipt.code not in ABOUT_A_COPY
    if not is_end or receipt.state == "interrupted":
        # What was recorded until then has no end.
        return None
    return str(receipt.details.get("chain", ""))
