"""OrderService: orders, as operators hand them in and follow them."""

from __future__ import annotations

from itertools import accumulate
from typing import TYPE_CHECKING, Any

from penguind.access import permit_order
from penguind.caller import caller
from penguind.orders.watching import OrderNow, Started
from penguind.services.convert_device import envelope_from, envelope_message
from penguind.services.convert_order import (
    order_message,
    output_message,
    plan_from,
    target_message,
    target_messages,
)
from penguind.store.order_output import Piece
from penguindome.v1 import order_pb2 as pb
from penguindome.v1.order_pb2_grpc import OrderServiceServicer

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator

    from penguind.domain.order import Order
    from penguind.orders.desk import OrderDesk
    from penguind.orders.looking import OrderLooking
    from penguind.orders.watching import Event, Watching
    from penguind.presence import Presence

# Reasons may be long; the answer stays within the 4 MiB of a message.
_LIST_BYTES = 2_500_000


class OrderService(OrderServiceServicer):
    """Serves operators."""

    def __init__(
        self, *, desk: OrderDesk, looking: OrderLooking, watching: Watching, presence: Presence
    ) -> None:
        self._desk = desk
        self._looking = looking
        self._watching = watching
        self._presence = presence

    async def SubmitOrder(  # noqa: N802 -- gRPC's
        self,
        request: pb.SubmitOrderRequest,
        context: Any,  # noqa: ARG002
    ) -> pb.SubmitOrderResponse:
        """Take an order in."""
        permit_order(request.envelope.kind, caller().roles)
        is_release = request.envelope.kind == "release"
        plan = plan_from(request.rollout) if is_release or request.HasField("rollout") else None
        envelope = envelope_from(request.envelope)
        order = await self._desk.submit(envelope, plan, caller().name)
        return pb.SubmitOrderResponse(order=await self._order(order))

    async def ApproveOrder(  # noqa: N802 -- gRPC's
        self,
        request: pb.ApproveOrderRequest,
        context: Any,  # noqa: ARG002
    ) -> pb.ApproveOrderResponse:
        """Add a signature."""
        permit_order((await self._looking.one(request.order_id)).kind, caller().roles)
        order = await self._desk.approve(
            request.order_id, request.payload_sha256, request.signature, caller().name
        )
        return pb.ApproveOrderResponse(order=await self._order(order))

    async def WithdrawOrder(  # noqa: N802 -- gRPC's
        self,
        request: pb.WithdrawOrderRequest,
        context: Any,  # noqa: ARG002
    ) -> pb.WithdrawOrderResponse:
        """Take an order back from those that were not sent it."""
        order, count = await self._desk.withdraw(request.order_id, request.reason)
        return pb.WithdrawOrderResponse(order=await self._order(order), withdrawn=count)

    async def ListOrders(  # noqa: N802 -- gRPC's
        self,
        request: pb.ListOrdersRequest,
        context: Any,  # noqa: ARG002
    ) -> pb.ListOrdersResponse:
        """Return orders, the newest first."""
        found = await self._looking.newest(
            request.limit,
            kinds=request.kinds,
            device=request.device,
            states=request.states,
            only_waiting=request.only_waiting,
        )
        counts = await self._looking.counts([one.order_id for one in found])
        messages = [order_message(one, counts.get(one.order_id, {})) for one in found]
        size = accumulate(one.ByteSize() for one in messages)
        fitting = [one for one, total in zip(messages, size, strict=True) if total < _LIST_BYTES]
        return pb.ListOrdersResponse(orders=fitting)

    async def GetOrder(  # noqa: N802 -- gRPC's
        self,
        request: pb.GetOrderRequest,
        context: Any,  # noqa: ARG002
    ) -> pb.GetOrderResponse:
        """Return one order with its envelope and targets."""
        order = await self._looking.one(request.order_id)
        targets = await self._looking.targets(order)
        return pb.GetOrderResponse(
            order=await self._order(order),
            envelope=envelope_message(order.envelope),
            targets=target_messages(targets, self._presence.connected),
        )

    async def WatchOrder(  # noqa: N802 -- gRPC's
        self,
        request: pb.WatchOrderRequest,
        context: Any,  # noqa: ARG002
    ) -> AsyncGenerator[pb.WatchOrderResponse, None]:
        """Tell what happens until all ended."""
        async for event in self._watching.follow(request.order_id, output=request.output):
            yield self._event(event)

    async def ReadOutput(  # noqa: N802 -- gRPC's
        self,
        request: pb.ReadOutputRequest,
        context: Any,  # noqa: ARG002
    ) -> AsyncGenerator[pb.ReadOutputResponse, None]:
        """Return what a program printed."""
        pieces = await self._looking.output(
            request.order_id, request.device_id, request.part, request.stream, request.offset
        )
        async for offset, data in pieces:
            yield pb.ReadOutputResponse(offset=offset, data=data)

    async def _order(self, order: Order) -> pb.Order:
        counts = await self._looking.counts([order.order_id])
        return order_message(order, counts.get(order.order_id, {}))

    def _event(self, event: Event) -> pb.WatchOrderResponse:
        match event:
            case OrderNow():
                return pb.WatchOrderResponse(order=order_message(event.order, event.counts))
            case Started():
                return pb.WatchOrderResponse(started=pb.WatchStarted())
            case Piece():
                return pb.WatchOrderResponse(
                    output=output_message(event), device_id=event.device_id
                )
            case _:
                connected = self._presence.connected(event.device_id)
                return pb.WatchOrderResponse(target=target_message(event, connected=connected))
