"""What the simulated server knows of orders, and devices that act on them as a test tells them to.

An order is opened as the real server does it, with the trust documents that operators published.
`Book.plays` says what a device does with an order; who is not in it succeeds at once.
"""

from __future__ import annotations

import json
import time
from collections import Counter
from dataclasses import dataclass, field
from datetime import timedelta
from threading import Condition, Thread

from penguindome import keys, trust
from penguindome.envelope import Envelope, make_payload
from penguindome.errors import AlreadyExists, NotFound
from penguindome.orders.bodies import CommandBody, WipeBody
from penguindome.orders.opening import open_order
from penguindome.orders.receipts import FINAL, Receipt, seal
from penguindome.times import from_unix_ms, to_unix_ms, utc_now
from penguindome.v1 import order_pb2, release_pb2
from tests.penguinctl import samples

UNSENT = ("waiting", "queued")


@dataclass
class Kept:
    """An order as the simulated server keeps it; `outputs` by device and stream.

    A release has its state, reason, plan and open rings in `rollout`.
    """

    envelope: Envelope
    order: order_pb2.Order
    targets: dict
    outputs: dict = field(default_factory=dict)
    rollout: release_pb2.Release | None = None


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
            number=payload.seq or 0,
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
            for one, name in getattr(opened.body, "hostnames", {}).items()
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

    def fill(self):
        """Keep a command that ended on web-1 and waits for db-1, and a dry run; nobody signed."""
        names = {samples.WEB: "web-1", samples.DB: "db-1"}
        command = CommandBody(names, "uptime", ("uptime",)).to_json()
        self._keep("command", samples.ORDER, names, command)
        self.print(samples.ORDER, samples.WEB, "stdout", b"up 3 days\n")
        self.say(samples.ORDER, samples.WEB, "succeeded", exit_code=0, reason="well")
        names = {samples.WEB: "web-1"}
        self._keep("wipe-plan", samples.WIPE, names, WipeBody(names, "lock").to_json())
        plan = {"level": "lock", "accounts": [{"name": "ann", "uid": 1000}]}
        self.say(samples.WIPE, samples.WEB, "succeeded", details={"plan": plan})

    def _keep(self, kind, order_id, names, body):
        now = utc_now()
        payload = make_payload(
            fleet=self.simulator.fleet,
            kind=kind,
            id=order_id,
            issued_time=now,
            not_before_time=now,
            expires_time=now + timedelta(hours=1),
            devices=list(names),
            reason="why not",
            by="alice",
            body=body,
        )
        order = order_pb2.Order(
            order_id=order_id,
            kind=kind,
            name="uptime",
            reason="why not",
            by="alice",
            signed_by=["alice"],
            issued_unix_ms=to_unix_ms(now),
            expires_unix_ms=to_unix_ms(now) + 3_600_000,
            submitted_unix_ms=to_unix_ms(now),
        )
        targets = {
            one: order_pb2.OrderTarget(
                order_id=order_id, device_id=one, hostname=name, state="queued"
            )
            for one, name in names.items()
        }
        self.kept[order_id] = Kept(Envelope(kind, payload, (b"",)), order, targets)

    def call_off(self, cancellation, order_id):
        for device_id, one in self.kept[order_id].targets.items():
            if device_id not in cancellation.targets or one.state in FINAL:
                continue
            if one.state in UNSENT:
                self.say(order_id, device_id, "cancelled", vouched=False, reason="called off")
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
        one = self._copy(order_id, device_id)
        setattr(one, f"{stream}_bytes", len(whole))
        kept.targets[device_id] = one
        self.tell()

    def say(self, order_id, device_id, state, *, vouched=True, forged=None, raw=None, **said):
        """Have a device, or the server alone, say a state.

        `forged` stands in the place of the signed bytes, `raw` in that of the details.
        """
        one, now = self._copy(order_id, device_id), utc_now()
        one.started_unix_ms = one.started_unix_ms or to_unix_ms(now)
        one.state, one.reason, one.code = state, said.get("reason", ""), said.get("code", "")
        one.details = raw or json.dumps(said.get("details", {})).encode()
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
        # At once, as watchers look at any time.
        self.kept[order_id].targets[device_id] = one
        self.tell()

    def _copy(self, order_id, device_id):
        one = order_pb2.OrderTarget()
        one.CopyFrom(self.kept[order_id].targets[device_id])
        return one

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
