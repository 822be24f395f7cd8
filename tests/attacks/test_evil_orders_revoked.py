"""Who is revoked while orders are under way hears and says nothing more about them."""

from __future__ import annotations

import getpass
import json
import time

import pytest

from penguindome import certs
from penguindome.ids import is_ulid
from penguindome.orders.receipts import Receipt, seal
from penguindome.payload import read_payload
from penguindome.times import utc_now
from penguindome.tokens import decode_invitation
from penguindome.v1 import agent_pb2, order_pb2, order_pb2_grpc
from penguindome.v1 import bootstrap_pb2 as boot
from tests.attacks.kit.evil_agent import EvilAgent
from tests.attacks.kit.keys import Identity
from tests.attacks.kit.wire import SECONDS, refusal
from tests.attacks.test_revocations import ALL_AT_ONCE_SECONDS, ELSEWHERE_SECONDS, Watched
from tests.harness.process import wait_until

pytestmark = pytest.mark.timeout(120)


class Listening(Watched):
    """A device's stream: it notes the orders that come."""

    def __init__(self, call):
        self.order_ids = []
        super().__init__(call)

    def run(self):
        self.call = self._noted(self.call)
        super().run()

    def _noted(self, call):
        for one in call:
            if one.WhichOneof("message") == "envelope":
                self.order_ids.append(read_payload(one.envelope.payload).id)
            yield one


def ordered(fleet, device):
    """Order a command for a device; return the order's id."""
    words = ("run", device.device_id, "--user", getpass.getuser(), "--yes", "--detach")
    done = fleet.alice.try_run(*words, "-o", "json", "--", "true")
    return json.loads(done.stdout)["order_id"]


def listening(device):
    stream = Listening(device.stub().CheckIn(agent_pb2.CheckInRequest(hostname="evil")))
    assert stream.begun.wait(20)
    return stream


def said(device, order_id, state):
    """Return a request that hands in a device's word."""
    receipt = Receipt(device.uri.split("/")[2], device.device_id, order_id, state, 1, utc_now())
    sealed = seal(receipt, device.key)
    one = order_pb2.OrderReceipt(payload=sealed.payload, signature=sealed.signature)
    return agent_pb2.SubmitOrderUpdatesRequest(receipts=[one])


def test_a_device_with_orders_under_way(fleet, wire, device, token):
    other = EvilAgent(wire)
    other.enroll(token)
    streams = [listening(device), listening(other)]
    first, kept = ordered(fleet, device), ordered(fleet, other)
    wait_until(lambda: all(one.order_ids for one in streams), 20, "no order came")
    assert [one.order_ids for one in streams] == [[first], [kept]]
    stub = device.stub()
    stub.SubmitOrderUpdates(said(device, first, "running"), timeout=SECONDS)
    fleet.alice.run("device", "revoke", device.device_id, "--reason", "stolen", "--yes")
    done = time.monotonic()
    streams[0].join(ELSEWHERE_SECONDS)
    assert not streams[0].is_alive()
    assert streams[0].ended_time - done < ALL_AT_ONCE_SECONDS
    assert streams[0].code == "identity-ended"
    over = said(device, first, "succeeded")
    assert refusal(stub.SubmitOrderUpdates, over, timeout=SECONDS).code == "revoked"
    blob = agent_pb2.FetchBlobRequest(order_id=first, sha256=bytes(32))
    assert refusal(lambda: next(stub.FetchBlob(blob, timeout=SECONDS))).code == "revoked"
    (target,) = fleet.alice.json("command", "show", first)["targets"]
    assert target["state"] != "succeeded"
    # The control: another device goes on.
    assert streams[1].is_alive()
    assert is_ulid(ordered(fleet, other))
    wait_until(lambda: len(streams[1].order_ids) == 2, 20, "the other device gets no more orders")
    other.stub().SubmitOrderUpdates(said(other, kept, "succeeded"), timeout=SECONDS)
    (target,) = fleet.alice.json("command", "show", kept)["targets"]
    assert target["state"] == "succeeded"


def test_an_operator_who_watches_an_order(fleet, wire, device):
    stream = listening(device)
    order_id = ordered(fleet, device)
    invitation = decode_invitation(fleet.invite("dave", "--role", "viewer").read_text())
    stranger = EvilAgent(wire)
    answer = stranger.bootstrap.RedeemInvitation(
        boot.RedeemInvitationRequest(
            invitation_id=invitation.invitation_id,
            invitation_secret=invitation.secret,
            csr=certs.make_csr(stranger.key),
        ),
        timeout=SECONDS,
    )
    dave = order_pb2_grpc.OrderServiceStub(
        wire.main(Identity(stranger.key, answer.certificate, "dave"))
    )
    watch = Watched(dave.WatchOrder(order_pb2.WatchOrderRequest(order_id=order_id, output=True)))
    assert watch.begun.wait(20), "the control: it has to work before"
    fleet.alice.run("operator", "revoke", "dave", "--reason", "left", "--yes")
    done = time.monotonic()
    watch.join(ELSEWHERE_SECONDS)
    assert not watch.is_alive()
    assert watch.ended_time - done < ALL_AT_ONCE_SECONDS
    assert watch.code == "identity-ended"
    again = order_pb2.GetOrderRequest(order_id=order_id)
    assert refusal(dave.GetOrder, again, timeout=SECONDS).code == "revoked"
    assert stream.is_alive()
