"""A server that was taken over: every key of its own and the whole chain of trust, no operator's.

It serves real agents over real mutual TLS, hands them any envelope as often as it likes, any trust
document and any content, and hears what they answer. Operators sign in `World`, as people do.
"""

from __future__ import annotations

import threading
from collections import defaultdict
from hashlib import sha256
from typing import TYPE_CHECKING

from penguindome.ids import is_ulid
from penguindome.orders.receipts import SealedReceipt, open_receipt
from penguindome.trust_document import from_payload
from penguindome.v1 import agent_pb2, bootstrap_pb2, envelope_pb2
from tests.penguin_agent.agent_process import eventually
from tests.penguin_agent.server_simulator import Simulator
from tests.penguin_agent.simulated_services import AgentService, BootstrapService, wire

if TYPE_CHECKING:
    from collections.abc import Iterator

    from penguindome.envelope import Envelope
    from penguindome.orders.receipts import Receipt
    from penguindome.trust import TrustDocument

PIECE = 256 * 1024


class _Service(AgentService):
    """What the taken server adds: it listens to receipts, and serves contents of its choice."""

    def SubmitOrderUpdates(self, request, context):  # noqa: N802
        device = self._device(context)
        self.simulator.hear(device, request)
        return agent_pb2.SubmitOrderUpdatesResponse()

    def FetchBlob(self, request, context) -> Iterator[agent_pb2.FetchBlobResponse]:  # noqa: N802
        self._device(context)
        data = self.simulator.blobs.get(request.sha256.hex(), b"")
        for start in range(request.offset, len(data), PIECE):
            yield agent_pb2.FetchBlobResponse(data=data[start : start + PIECE])


class _Bootstrap(BootstrapService):
    """Serves whatever is called a document, readable or not."""

    def GetTrustChain(self, request, context):  # noqa: N802
        simulator = self.simulator
        chain = simulator.mischief.chain or simulator.chain
        documents = [
            envelope_pb2.TrustDocument(version=number, envelope=wire(one))
            for number, one in enumerate(chain, 1)
            if number > request.after_version
        ]
        return bootstrap_pb2.GetTrustChainResponse(documents=documents)


class TakenServer(Simulator):
    """Serves one fleet whose operators are honest; use it with `with`."""

    agent_service = _Service
    bootstrap_service = _Bootstrap

    def __init__(self, fleet) -> None:
        super().__init__(fleet)
        self.receipts: dict[str, list[Receipt]] = defaultdict(list)
        self.output: dict[str, bytes] = defaultdict(bytes)
        self.blobs: dict[str, bytes] = {}
        self._hearing = threading.Lock()

    @property
    def document(self) -> TrustDocument:
        """Return the newest document that operators signed."""
        return from_payload(self.chain[-1].payload)

    def hear(self, device, request) -> None:
        """Note receipts, which have to be the device's own."""
        with self._hearing:
            for one in request.receipts:
                sealed = SealedReceipt(one.payload, one.signature)
                receipt = open_receipt(
                    sealed, spki=device.spki, fleet=self.fleet.id, device_id=device.device_id
                )
                assert is_ulid(receipt.order_id)
                self.receipts[receipt.order_id].append(receipt)
            for one in request.outputs:
                self.output[one.order_id] = self.output[one.order_id][: one.offset] + one.data

    def send(self, *envelopes: Envelope) -> None:
        """Hand envelopes to the only device, in this order; they are lost if it is away."""
        for envelope in envelopes:
            self.push(envelope=wire(envelope))

    def announce(self, *chain: Envelope, version: int = 0) -> None:
        """Serve a chain of trust, the honest one if none is given, and say that there is news."""
        self.mischief.chain = list(chain) if chain else None
        version = version or self.document.version
        self.push(trust_changed=agent_pb2.TrustChanged(version=version))

    def states(self, order_id: str) -> list[str]:
        """Return what the device said of an order itself, in turn."""
        with self._hearing:
            return [one.state for one in self.receipts[order_id] if not one.part]

    def final(self, order_id: str, seconds: float = 30) -> Receipt:
        """Return how an order ended, by the device's signed word."""

        def ended() -> Receipt | None:
            with self._hearing:
                found = [r for r in self.receipts[order_id] if r.is_final and not r.part]
            return found[-1] if found else None

        return eventually(ended, seconds)

    def keep(self, data: bytes) -> str:
        """Keep a content under its true hash; return that."""
        digest = sha256(data).hexdigest()
        self.blobs[digest] = data
        return digest
