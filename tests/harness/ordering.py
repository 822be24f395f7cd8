"""Orders in tests: operators who sign with real keys, and devices that answer.

An `Office` has operators with OpenPGP keys, whom a server knows by a trust document. A `Laptop`
holds its stream over real TLS and says about orders what a test wants.
"""

from __future__ import annotations

import asyncio
import base64
import hashlib
from contextlib import asynccontextmanager
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import grpc.aio

from penguindome.envelope import make_payload
from penguindome.ids import new_ulid
from penguindome.orders.receipts import Receipt, SealedReceipt, seal
from penguindome.payload import read_payload
from penguindome.times import utc_now
from penguindome.trust import to_payload
from penguindome.v1 import agent_pb2, envelope_pb2, order_pb2, order_pb2_grpc, trust_pb2
from penguindome.v1.trust_pb2_grpc import TrustServiceStub

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Mapping, Sequence

    from penguindome.envelope import Envelope
    from tests.harness.serving import Identity, Running
    from tests.penguindome.signing import Fleet

SECONDS = 20


class Office:
    """Operators who sign, on one server."""

    def __init__(self, server: Running, signers: Fleet, operators: Mapping[str, Identity]) -> None:
        self.server = server
        self.signers = signers
        self.operators = operators

    def stub(self, who: str = "alice") -> order_pb2_grpc.OrderServiceStub:
        return order_pb2_grpc.OrderServiceStub(self.server.channel(self.operators[who]))

    def payload(
        self, kind: str, hostnames: Mapping[str, str], body: Mapping[str, Any], **changes: Any
    ) -> bytes:
        """Return an order's payload; its hostnames are put into the body."""
        now = self.server.clock()
        fields: dict[str, Any] = {
            "fleet": self.server.settings.server.fleet_id,
            "kind": kind,
            "id": new_ulid(now),
            "issued_time": now,
            "not_before_time": now,
            "expires_time": now + timedelta(days=1),
            "devices": list(hostnames),
            "reason": "a test",
            "by": "alice",
            "body": {**({"hostnames": dict(hostnames)} if hostnames else {}), **body},
        }
        return make_payload(**(fields | changes))

    def signed(self, kind: str, payload: bytes, *names: str) -> envelope_pb2.Envelope:
        return message_of(self.signers.sign(kind, payload, *(names or ("alice",))))

    def command(
        self,
        hostnames: Mapping[str, str],
        *names: str,
        body: Mapping[str, Any] | None = None,
        **changes: Any,
    ) -> envelope_pb2.Envelope:
        """Return a signed command; `body` changes its fields."""
        fields = {"name": "test", "argv": ["true"], "timeout_seconds": 60}
        fields |= {"output_limit_bytes": 1024 * 1024, **(body or {})}
        return self.signed("command", self.payload("command", hostnames, fields, **changes), *names)

    def patch(
        self, hostnames: Mapping[str, str], *paths: str, content: bytes = b"#!/bin/sh\n"
    ) -> envelope_pb2.Envelope:
        """Return a signed patch that puts small files."""
        files = [file_json(path, content) for path in paths]
        return self.signed("patch", self.payload("patch", hostnames, {"files": files}))

    def cancel(
        self, kind: str, hostnames: Mapping[str, str], *order_ids: str
    ) -> envelope_pb2.Envelope:
        """Return a signed cancellation of orders of a kind."""
        name = f"cancel-{kind}"
        payload = self.payload(name, hostnames, {"order_ids": list(order_ids)})
        return self.signed(name, payload)

    async def submit(
        self, envelope: envelope_pb2.Envelope, who: str = "alice", **fields: Any
    ) -> order_pb2.Order:
        request = order_pb2.SubmitOrderRequest(envelope=envelope, **fields)
        return (await self.stub(who).SubmitOrder(request)).order

    async def approve(self, envelope: envelope_pb2.Envelope, who: str) -> order_pb2.Order:
        """Add an operator's own signature to an order."""
        signature = self.signed(envelope.kind, envelope.payload, who).signatures[0]
        request = order_pb2.ApproveOrderRequest(
            order_id=id_of(envelope),
            payload_sha256=hashlib.sha256(envelope.payload).digest(),
            signature=signature,
        )
        return (await self.stub(who).ApproveOrder(request)).order

    async def get(self, order_id: str) -> order_pb2.GetOrderResponse:
        return await self.stub().GetOrder(order_pb2.GetOrderRequest(order_id=order_id))

    async def states(self, order_id: str) -> dict[str, str]:
        """Return the states of an order's targets by device id, and part where there is one."""
        targets = (await self.get(order_id)).targets
        return {f"{one.device_id}{one.part and '/'}{one.part}": one.state for one in targets}

    async def wait_for(self, order_id: str, **counts: int) -> order_pb2.Order:
        """Return an order once so many targets are in these states."""
        async with asyncio.timeout(SECONDS):
            while True:
                order = (await self.get(order_id)).order
                if dict(order.targets_by_state) == counts:
                    return order
                await asyncio.sleep(0.02)


class Laptop:
    """An enrolled device; what it says is in the test's hands."""

    def __init__(self, server: Running, identity: Identity, hostname: str) -> None:
        self.server = server
        self.identity = identity
        self.hostname = hostname
        self.agent = server.agent(identity)
        self.orders: asyncio.Queue[envelope_pb2.Envelope] = asyncio.Queue()
        self._ratchet = b""

    @property
    def device_id(self) -> str:
        return self.identity.name

    @property
    def named(self) -> dict[str, str]:
        return {self.device_id: self.hostname}

    @asynccontextmanager
    async def connected(self, **facts: Any) -> AsyncIterator[None]:
        """Hold the stream until the block ends; orders go into `orders`."""
        request = agent_pb2.CheckInRequest(
            hostname=self.hostname,
            agent_version="1",
            device_time_unix_ms=int(utc_now().timestamp() * 1000),
            ratchet=self._ratchet,
            **facts,
        )
        call = self.agent.CheckIn(request)
        welcome = (await call.read()).welcome
        self._ratchet = welcome.ratchet
        await self.agent.ConfirmCheckIn(agent_pb2.ConfirmCheckInRequest(ratchet=welcome.ratchet))
        reading = asyncio.create_task(self._read(call))
        try:
            yield
        finally:
            call.cancel()
            reading.cancel()
            await asyncio.wait([reading])

    async def next_order(self) -> envelope_pb2.Envelope:
        async with asyncio.timeout(SECONDS):
            return await self.orders.get()

    async def no_order(self, seconds: float = 0.3) -> None:
        """Fail if an order comes."""
        try:
            async with asyncio.timeout(seconds):
                found = await self.orders.get()
        except TimeoutError:
            return
        raise AssertionError(f"{id_of(found)} came")

    def word(self, order_id: str, state: str, number: int = 1, **fields: Any) -> SealedReceipt:
        """Return a sealed receipt."""
        facts: dict[str, Any] = {
            "fleet": self.server.settings.server.fleet_id,
            "device_id": self.device_id,
            "order_id": order_id,
            "state": state,
            "number": number,
            "time": utc_now(),
        }
        return seal(Receipt(**(facts | fields)), self.identity.key)

    async def say(
        self, *words: SealedReceipt, outputs: Sequence[order_pb2.OrderOutput] = ()
    ) -> list[str]:
        """Hand receipts and output in; return the ids that the server does not know."""
        request = agent_pb2.SubmitOrderUpdatesRequest(
            receipts=[
                order_pb2.OrderReceipt(payload=one.payload, signature=one.signature)
                for one in words
            ],
            outputs=outputs,
        )
        return list((await self.agent.SubmitOrderUpdates(request)).unknown_order_ids)

    async def succeed(self) -> str:
        """Take the next order, and say that it went well; return its id."""
        order_id = id_of(await self.next_order())
        await self.say(self.word(order_id, "accepted"), self.word(order_id, "succeeded", 2))
        return order_id

    async def _read(self, call: Any) -> None:
        while (message := await call.read()) is not grpc.aio.EOF:
            if message.HasField("envelope"):
                self.orders.put_nowait(message.envelope)


async def open_office(server: Running, signers: Fleet, *names: str, **document: Any) -> Office:
    """Have operators with keys, whom the server knows by a trust document that alice signed.

    Args:
        server: A running server without a trust document.
        signers: Keys; its fleet becomes the server's.
        names: Operators, in every role; alice alone if there are none.
        document: As `Fleet.document` takes it, e.g. `threshold`.

    """
    signers.id = server.settings.server.fleet_id
    signers.now = utc_now().replace(microsecond=0)
    names = names or ("alice",)
    operators = {name: await server.operator(name) for name in names}
    made = signers.document(*names, **document)
    signed = signers.sign("trust", to_payload(made), *names)
    stub = TrustServiceStub(server.channel(operators[names[0]]))
    message = envelope_pb2.TrustDocument(version=1, envelope=message_of(signed))
    await stub.PublishTrust(trust_pb2.PublishTrustRequest(document=message))
    return Office(server, signers, operators)


async def laptop(server: Running, hostname: str = "web-1") -> Laptop:
    """Enroll a device."""
    identity, _ = await server.enroll(hostname=hostname)
    return Laptop(server, identity, hostname)


def message_of(envelope: Envelope) -> envelope_pb2.Envelope:
    return envelope_pb2.Envelope(
        kind=envelope.kind, payload=envelope.payload, signatures=envelope.signatures
    )


def id_of(envelope: envelope_pb2.Envelope) -> str:
    return read_payload(envelope.payload).id


def file_json(path: str, content: bytes) -> dict[str, Any]:
    """Return a file of a patch with its content."""
    digest = hashlib.sha256(content).hexdigest()
    entry = {"path": path, "mode": "0755", "size": len(content), "sha256": digest}
    return {"path": path, "entry": entry, "content": base64.b64encode(content).decode()}


def printed(
    order_id: str, data: bytes, offset: int = 0, stream: str = "stdout", part: str = ""
) -> order_pb2.OrderOutput:
    """Return a piece of output."""
    return order_pb2.OrderOutput(
        order_id=order_id, part=part, stream=stream, offset=offset, data=data
    )
