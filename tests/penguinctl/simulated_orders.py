"""What the simulated server answers about orders."""

from __future__ import annotations

import hashlib
from collections import Counter
from dataclasses import replace

import grpc

from penguindome.envelope import Envelope
from penguindome.errors import Forbidden, PreconditionFailed
from penguindome.v1 import envelope_pb2, order_pb2, order_pb2_grpc
from tests.penguinctl import simulated_releases
from tests.penguinctl.simulated_order_book import UNSENT


class Orders(order_pb2_grpc.OrderServiceServicer):
    def __init__(self, simulator):
        self.simulator = simulator

    @property
    def book(self):
        return self.simulator.orders

    def SubmitOrder(self, request, context):  # noqa: N802 -- gRPC's name
        kept = self.book.take(_envelope(request.envelope))
        if kept.order.kind == "release" and kept.rollout is None:
            simulated_releases.begin(kept, request.rollout)
        return order_pb2.SubmitOrderResponse(order=self.book.summary(kept))

    def ApproveOrder(self, request, context):  # noqa: N802
        kept = self.book.one(request.order_id)
        if hashlib.sha256(kept.envelope.payload).digest() != request.payload_sha256:
            raise Forbidden("it is not what was signed")
        envelope = replace(kept.envelope, signatures=(*kept.envelope.signatures, request.signature))
        opened = self.book.opened(envelope)
        names = sorted(self.book.trust().operators[one] for one in opened.signers)
        if names == list(kept.order.signed_by):
            raise Forbidden("that signature adds nothing")
        kept.envelope, kept.order.missing_signatures = envelope, opened.missing
        kept.order.signed_by[:] = names
        self.book.begin(request.order_id)
        return order_pb2.ApproveOrderResponse(order=self.book.summary(kept))

    def WithdrawOrder(self, request, context):  # noqa: N802
        kept = self.book.one(request.order_id)
        unsent = [one for one in kept.targets.values() if one.state in UNSENT]
        for one in unsent:
            self.book.say(
                request.order_id, one.device_id, "cancelled", vouched=False, reason="withdrawn"
            )
        kept.order.withdrawn_reason = request.reason or "withdrawn"
        return order_pb2.WithdrawOrderResponse(order=self.book.summary(kept), withdrawn=len(unsent))

    def ListOrders(self, request, context):  # noqa: N802
        found = [
            self.book.summary(kept)
            for kept in reversed(self.book.kept.values())
            if (not request.kinds or kept.order.kind in request.kinds)
            and (not request.device or self._is_for(kept, request.device))
            and (not request.only_waiting or kept.order.missing_signatures)
            and (
                not request.states
                or {one.state for one in kept.targets.values()} & set(request.states)
            )
        ]
        return order_pb2.ListOrdersResponse(orders=found[: request.limit or 100])

    def _is_for(self, kept, name):
        return any(name in (one.device_id, one.hostname) for one in kept.targets.values())

    def GetOrder(self, request, context):  # noqa: N802
        kept = self.book.one(request.order_id)
        envelope = envelope_pb2.Envelope(
            kind=kept.envelope.kind,
            payload=kept.envelope.payload,
            signatures=kept.envelope.signatures,
        )
        targets = sorted(kept.targets.values(), key=lambda one: one.hostname)
        return order_pb2.GetOrderResponse(
            order=self.book.summary(kept), envelope=envelope, targets=targets
        )

    def WatchOrder(self, request, context):  # noqa: N802
        kept, told, printed = self.book.one(request.order_id), {}, Counter()
        begun = self.book.breaks
        yield order_pb2.WatchOrderResponse(order=self.book.summary(kept))
        yield from self._news(kept, told, printed, request.output)
        yield order_pb2.WatchOrderResponse(started=order_pb2.WatchStarted())
        while context.is_active():
            if self.book.breaks > begun:
                context.abort(grpc.StatusCode.UNAVAILABLE, "connection lost")
            # Read before its targets: what ends it is told with the next news.
            summary = self.book.summary(kept)
            yield from self._news(kept, told, printed, request.output)
            if summary.ended and not self._owed(kept):
                yield order_pb2.WatchOrderResponse(order=summary)
                return
            with self.book.changed:
                self.book.changed.wait(0.05)

    def _owed(self, kept):
        """Tell whether a device has printed more than has come."""
        return any(
            getattr(one, f"{stream}_bytes") > len(kept.outputs.get((device_id, stream), b""))
            for device_id, one in kept.targets.items()
            for stream in ("stdout", "stderr")
        )

    def _news(self, kept, told, printed, output):
        for device_id, one in list(kept.targets.items()):
            now = one.SerializeToString()
            for stream in ("stdout", "stderr") if output else ():
                place = (device_id, stream)
                data = kept.outputs.get(place, b"")[printed[place] :]
                if data:
                    piece = order_pb2.OrderOutput(
                        order_id=kept.order.order_id,
                        stream=stream,
                        offset=printed[place],
                        data=data,
                    )
                    printed[place] += len(data)
                    yield order_pb2.WatchOrderResponse(output=piece, device_id=device_id)
            if told.get(device_id) != now:
                told[device_id] = now
                yield order_pb2.WatchOrderResponse(target=order_pb2.OrderTarget.FromString(now))

    def ReadOutput(self, request, context):  # noqa: N802
        kept = self.book.one(request.order_id)
        if request.device_id not in kept.targets:
            raise PreconditionFailed("the order has no such target")
        data = kept.outputs.get((request.device_id, request.stream), b"")
        for offset in range(request.offset, len(data), 1000):
            yield order_pb2.ReadOutputResponse(offset=offset, data=data[offset : offset + 1000])


def _envelope(message):
    return Envelope(message.kind, message.payload, tuple(message.signatures))


def add(server, simulator):
    order_pb2_grpc.add_OrderServiceServicer_to_server(Orders(simulator), server)
