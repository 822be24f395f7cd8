"""Orders, targets and receipts between the wire and the server."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING

from penguind.domain.rollout_plan import Plan, Ring
from penguind.services.convert_device import unix_ms
from penguind.store.order_output import Piece
from penguindome.orders.receipts import SealedReceipt
from penguindome.times import to_unix_ms
from penguindome.v1 import order_pb2 as pb

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from penguind.domain.order import Order, Target

#: A device's receipt and details may take a hundred kilobytes; the answer has 4 MiB at most, and
#: what else is told of thousands of targets needs room as well.
WHOLE_BYTES = 1_500_000


def order_message(order: Order, counts: Mapping[str, int]) -> pb.Order:
    """Return an order as operators see it."""
    return pb.Order(
        order_id=order.order_id,
        kind=order.kind,
        name=order.name,
        reason=order.reason,
        by=order.by,
        signed_by=order.signed_by,
        missing_signatures=order.missing,
        issued_unix_ms=to_unix_ms(order.issued_time),
        expires_unix_ms=to_unix_ms(order.expires_time),
        submitted_unix_ms=to_unix_ms(order.submitted_time),
        targets_by_state=dict(counts),
        ended=order.ended_time is not None,
        number=order.number,
        withdrawn_reason=order.withdrawn_reason,
        cancels_order_ids=order.cancels,
    )


def target_message(target: Target, *, connected: bool, brief: bool = False) -> pb.OrderTarget:
    """Return a target as operators see it.

    Args:
        target: The target.
        connected: Whether the device's stream is open.
        brief: Whether what makes long lists too long is left out: receipt and details.
    """
    message = pb.OrderTarget(
        order_id=target.order_id,
        device_id=target.device_id,
        hostname=target.hostname,
        state=target.state,
        part=target.part,
        reason=target.reason,
        code=target.code,
        exit_code=target.exit_code,
        stdout_bytes=target.stdout_bytes,
        stderr_bytes=target.stderr_bytes,
        truncated=target.truncated,
        sent_unix_ms=unix_ms(target.sent_time),
        started_unix_ms=unix_ms(target.started_time),
        ended_unix_ms=unix_ms(target.ended_time),
        connected=connected,
        vouched=target.vouched,
        cancelling=target.cancelling,
    )
    if not brief:
        message.details = target.details
        if target.receipt is not None:
            message.receipt.CopyFrom(receipt_message(target.receipt))
    return message


def target_messages(
    targets: Sequence[Target], connected: Callable[[str], bool]
) -> list[pb.OrderTarget]:
    """Return targets for one answer: without receipts and details from where they get too large."""
    messages: list[pb.OrderTarget] = []
    left = WHOLE_BYTES
    for one in targets:
        whole = target_message(one, connected=connected(one.device_id))
        left -= whole.ByteSize()
        if left < 0:
            whole = target_message(one, connected=connected(one.device_id), brief=True)
        messages.append(whole)
    return messages


def receipt_message(sealed: SealedReceipt) -> pb.OrderReceipt:
    """Return a receipt as the device signed it."""
    return pb.OrderReceipt(payload=sealed.payload, signature=sealed.signature)


def receipt_from(message: pb.OrderReceipt) -> SealedReceipt:
    """Return a receipt as it came; nothing is verified yet."""
    return SealedReceipt(message.payload, message.signature)


def output_message(piece: Piece) -> pb.OrderOutput:
    """Return a piece of output."""
    return pb.OrderOutput(
        order_id=piece.order_id,
        part=piece.part,
        stream=piece.stream,
        offset=piece.offset,
        data=piece.data,
    )


def piece_from(device_id: str, message: pb.OrderOutput) -> Piece:
    """Return a piece of what a program printed on a device, as it came."""
    return Piece(
        order_id=message.order_id,
        device_id=device_id,
        part=message.part,
        stream=message.stream,
        offset=message.offset,
        data=message.data,
    )


def plan_from(message: pb.RolloutPlan) -> Plan:
    """Return how a release is rolled out; nothing is checked yet."""
    return Plan(
        rings=tuple(Ring(one.name, one.percent, tuple(one.selectors)) for one in message.rings),
        healthy_percent=message.healthy_percent,
        automatic=message.automatic,
        soak=timedelta(seconds=message.soak_seconds),
    )
