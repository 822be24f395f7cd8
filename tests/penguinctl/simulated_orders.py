"""What the simulated server knows of orders, and devices that act on them as a test tells them to.

An order is opened as the real server does it, with the trust documents that operators published.
`Book.plays` says what a device does with an order; who is not in it succeeds at once.
"""

from __future__ import annotations

import hashlib
import json
import time
from collections import Counter
from dataclasses import dataclass, field, replace
from threading import Condition, Thread

import grpc

from penguindome import keys, trust
from penguindome.envelope import Envelope
from penguindome.errors import AlreadyExists, Forbidden, NotFound, PreconditionFailed
from penguindome.orders.opening import open_order
from penguindome.orders.receipts import FINAL, Receipt, seal
from penguindome.times import from_unix_ms, to_unix_ms, utc_now
from penguindome.v1 import envelope_pb2, order_pb2, order_pb2_grpc

UNSENT = ("waiting", "queued")


@dataclass
class Kept:
    """An order as the simulated server keeps it; `outputs` by device and stream."""

    envelope: Envelope
    order: order_pb2.Order
    targets: dict
    outputs: dict = field(default_factory=dict)


class Book:
    """All orders, and what devices do."""

    def __init__(self, simulator):
        self.simulator = simulator
        self.kept = {}
        self.keys = {}
        self.plays = {}
        self.changed = Condition()
        # Watches that are open break off when this grows.
        self.breaks = 0

    def device_key(self, device_id):
        """Return a device's key; from now on its receipts can be verified."""
        if device_id not in self.keys:
            self.keys[device_id] = keys.generate_key()
        spki = keys.key_spki(self.keys[device_id])
        for device in self.simulator.state.devices:
            if device.device_id == device_id:
                device.public_key, device.key_fingerprint = spki, keys.fingerprint(spki)
        return self.keys[device_id]

    def trust(self):
        return trust.from_payload(self.simulator.state.trust[-1].envelope.payload)

    def opened(self, envelope):
        document = self.trust()
        return open_order(
            envelope,
            trust=document,
            fleet=self.simulator.fleet,
            device_id=None,
            now=utc_now(),
            incomplete=True,
        )

    def take(self, envelope):
        opened = self.opened(envelope)
        payload, document = opened.payload, self.trust()
        if payload.id in self.kept:
            if self.kept[payload.id].envelope.payload != envelope.payload:
                raise AlreadyExists("another order has this id")
            return self.kept[payload.id]
        order = order_pb2.Order(
            order_id=payload.id,
            kind=payload.kind,
            name=getattr(opened.body, "name", getattr(opened.body, "level", "")),
            reason=payload.reason,
            by=payload.by,
            signed_by=sorted(document.operators[one] for one in opened.signers),
            missing_signatures=opened.missing,
            issued_unix_ms=to_unix_ms(payload.issued_time),
            expires_unix_ms=to_unix_ms(payload.expires_time),
            submitted_unix_ms=to_unix_ms(utc_now()),
            cancels_order_ids=getattr(opened.body, "order_ids", ()),
        )
        online = {one.device_id: one.connected for one in self.simulator.state.devices}
        targets = {
            one: order_pb2.OrderTarget(
                order_id=payload.id,
                device_id=one,
                hostname=name,
                state="waiting" if opened.missing else "queued",
                connected=online.get(one, False),
            )
            for one, name in opened.body.hostnames.items()
        }
        self.kept[payload.id] = Kept(envelope, order, targets)
        self.begin(payload.id)
        return self.kept[payload.id]

    def begin(self, order_id):
        """Let devices that are there act on an order, unless signatures are missing."""
        kept = self.kept[order_id]
        if kept.order.missing_signatures:
            return
        for called_off in kept.order.cancels_order_ids:
            self.call_off(kept, called_off)
        if kept.order.cancels_order_ids:
            return
        for one in kept.targets.values():
            one.state = "queued" if one.state == "waiting" else one.state
            if one.connected:
                Thread(target=self.act, args=(order_id, one.device_id), daemon=True).start()

    def call_off(self, cancellation, order_id):
        for device_id, one in self.kept[order_id].targets.items():
            if device_id not in cancellation.targets or one.state in FINAL:
                continue
            if one.state in UNSENT:
                self.say(order_id, device_id, "cancelled", vouched=False)
            elif "deaf" not in self.plays.get(device_id, ()) and one.connected:
                self.say(order_id, device_id, "cancelled", reason="called off")
            else:
                one.cancelling = True

    def act(self, order_id, device_id):
        """Do what the test says; a step is a word, or a tuple of one and what belongs to it."""
        default = ("running", ("stdout", b"hello\n"), ("succeeded", {"exit_code": 0}))
        for step in self.plays.get(device_id, default):
            word, what = (step, None) if isinstance(step, str) else step
            if self.kept[order_id].targets[device_id].state in FINAL:
                return
            if word in ("stdout", "stderr"):
                self.print(order_id, device_id, word, what)
            elif word in ("pause", "until", "break", "away", "deaf"):
                self.wait(order_id, device_id, word, what)
            else:
                self.say(order_id, device_id, word, **(what or {}))

    def wait(self, order_id, device_id, word, what):
        """Do what nobody is told of."""
        if word == "pause":
            time.sleep(what)
        elif word == "until":
            what.wait(20)
        elif word == "break":
            self.breaks += 1
            self.tell()
        elif word == "away":
            self.kept[order_id].targets[device_id].connected = False

    def print(self, order_id, device_id, stream, data):
        kept = self.kept[order_id]
        whole = kept.outputs.get((device_id, stream), b"") + data
        kept.outputs[device_id, stream] = whole
        setattr(kept.targets[device_id], f"{stream}_bytes", len(whole))
        self.tell()

    def say(self, order_id, device_id, state, *, vouched=True, forged=None, **said):
        """Have a device, or the server alone, say a state; `forged` changes the signed bytes."""
        one = self.kept[order_id].targets[device_id]
        now = utc_now()
        one.started_unix_ms = one.started_unix_ms or to_unix_ms(now)
        one.state, one.reason = state, said.get("reason", "")
        one.details = json.dumps(said["details"]).encode() if "details" in said else one.details
        if said.get("exit_code") is not None:
            one.exit_code = said["exit_code"]
        if state in FINAL:
            one.ended_unix_ms = to_unix_ms(now)
        if vouched:
            receipt = Receipt(
                fleet=self.simulator.fleet,
                device_id=device_id,
                order_id=order_id,
                state=state,
                number=1,
                time=from_unix_ms(to_unix_ms(now)),
                stdout_bytes=one.stdout_bytes,
                stderr_bytes=one.stderr_bytes,
                **said,
            )
            sealed = seal(receipt, self.device_key(device_id))
            one.vouched = True
            one.receipt.payload = forged or sealed.payload
            one.receipt.signature = sealed.signature
        self.tell()

    def tell(self):
        with self.changed:
            self.changed.notify_all()

    def summary(self, kept):
        """Return an order with what its targets are at."""
        order = order_pb2.Order()
        order.CopyFrom(kept.order)
        states = Counter(one.state for one in kept.targets.values())
        order.targets_by_state.update(states)
        order.ended = all(state in FINAL for state in states)
        return order

    def one(self, wanted):
        found = [one for key, one in self.kept.items() if key.startswith(wanted.upper())]
        if not found or not wanted:
            raise NotFound("no such order", subject=wanted)
        return found[-1]


class Orders(order_pb2_grpc.OrderServiceServicer):
    def __init__(self, simulator):
        self.simulator = simulator

    @property
    def book(self):
        return self.simulator.orders

    def SubmitOrder(self, request, context):  # noqa: N802 -- gRPC's name
        kept = self.book.take(_envelope(request.envelope))
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
            yield from self._news(kept, told, printed, request.output)
            summary = self.book.summary(kept)
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
