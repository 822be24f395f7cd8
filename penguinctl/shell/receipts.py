"""What the device's signed receipt of a session says of its recording."""

from __future__ import annotations

from typing import TYPE_CHECKING

from penguinctl import wire
from penguinctl.shell.opening import session_of
from penguindome.errors import Forbidden, InvalidInput
from penguindome.orders.receipts import SealedReceipt, open_receipt

if TYPE_CHECKING:
    from penguinctl.app import App
    from penguindome.v1 import order_pb2


def recorded_chain(app: App, order_id: str) -> str:
    """Return the hash of the recording that the receipt names; "" where there is no receipt."""
    request = wire.order_pb2.GetOrderRequest(order_id=order_id)
    answer: order_pb2.GetOrderResponse = app.call("order.GetOrder", request)
    if not answer.targets or not answer.targets[0].receipt.payload:
        return ""
    target = answer.targets[0]
    key = session_of(app, order_id).device_key
    sealed = SealedReceipt(target.receipt.payload, target.receipt.signature)
    try:
        receipt = open_receipt(
            sealed, spki=key, fleet=app.profile.fleet, device_id=target.device_id
        )
    except (Forbidden, InvalidInput):
        return "forged"
    return str(receipt.details.get("chain", ""))
