"""Whoever is revoked or blocked loses every open call at once, and gets in no more."""

import threading
import time

import grpc
import pytest
from grpc_health.v1 import health_pb2, health_pb2_grpc
from grpc_reflection.v1alpha import reflection_pb2, reflection_pb2_grpc

from penguindome import certs
from penguindome.error_wire import from_rpc_error
from penguindome.errors import LimitExceeded
from penguindome.tokens import decode_invitation
from penguindome.v1 import agent_pb2, agent_pb2_grpc, server_pb2, server_pb2_grpc
from penguindome.v1 import bootstrap_pb2 as boot
from tests.attacks.kit.evil_agent import EvilAgent, verdicts_by
from tests.attacks.kit.evil_reports import EvilReports
from tests.attacks.kit.keys import Identity
from tests.attacks.kit.wire import SECONDS, refusal

pytestmark = pytest.mark.timeout(120)

# What the command itself takes to start does not count: the end is told to the server at its end.
ENDS = {
    "revoke": (("--reason", "stolen", "--yes"), "revoked"),
    "block": (("--reason", "left in a taxi"), "blocked"),
}
ALL_AT_ONCE_SECONDS = 2.0
# By another process the server hears of it at its next look, every two seconds.
ELSEWHERE_SECONDS = 4.0


class Watched(threading.Thread):
    """A long call: it notes when it ended and why."""

    def __init__(self, call):
        super().__init__(daemon=True)
        self.call = call
        self.begun = threading.Event()
        self.ended_time = 0.0
        self.code = ""
        self.start()

    def run(self):
        try:
            for _ in self.call:
                self.begun.set()
            self.code = "ended in order"
        except grpc.RpcError as error:
            self.code = from_rpc_error(error).code
        self.ended_time = time.monotonic()


class Uploads(threading.Thread):
    """Reports handed in without a pause; it notes when one was taken last, and why none is."""

    def __init__(self, device):
        super().__init__(daemon=True)
        self.reports = EvilReports(device)
        self.begun = threading.Event()
        self.taken_time = 0.0
        self.code = ""
        self.start()

    def run(self):
        for number in range(10_000):
            try:
                self.reports.says(**{f"plugin{number % 3}": number})
            except grpc.RpcError as error:
                found = from_rpc_error(error)
                self.code = found.code
                if not isinstance(found, LimitExceeded):
                    return
                time.sleep(0.02)
            else:
                self.taken_time = time.monotonic()
                self.begun.set()


def watch(channel):
    return Watched(health_pb2_grpc.HealthStub(channel).Watch(health_pb2.HealthCheckRequest()))


def ask_for_ever(channel):
    done = threading.Event()

    def questions():
        yield reflection_pb2.ServerReflectionRequest(list_services="")
        done.wait(60)

    stub = reflection_pb2_grpc.ServerReflectionStub(channel)
    return Watched(stub.ServerReflectionInfo(questions()))


@pytest.mark.parametrize("verb", ENDS)
def test_every_open_call_of_a_device_ends_at_once(fleet, wire, device, verb):
    words, code = ENDS[verb]
    stub = agent_pb2_grpc.AgentServiceStub(wire.main(device.identity))
    calls = [
        Watched(stub.CheckIn(agent_pb2.CheckInRequest(hostname="evil"))),
        watch(wire.main(device.identity)),
        ask_for_ever(wire.main(device.identity)),
    ]
    uploads = Uploads(device)
    for one in (*calls, uploads):
        assert one.begun.wait(20), "the control: it has to work before"
    fleet.alice.run("device", verb, device.device_id, *words)
    done = time.monotonic()
    for one in (*calls, uploads):
        one.join(ELSEWHERE_SECONDS)
        assert not one.is_alive()
    assert {one.code for one in calls} == {"identity-ended"}
    # The server ended them before it answered; the command took longer to end by itself.
    assert max(one.ended_time for one in calls) - done < ALL_AT_ONCE_SECONDS
    assert uploads.taken_time < done + 0.05
    assert uploads.code == code
    assert refusal(verdicts_by, wire.main(device.identity)).code == code
    again = stub.CheckIn(agent_pb2.CheckInRequest(hostname="evil"))
    assert refusal(lambda: next(again)).code == code
    rows = fleet.alice.json("ledger", "list", "--limit", "20")["rows"]
    acts = [row["action"] for row in rows if row["target"] == device.device_id]
    assert acts[-1:] == [f"device.{verb}"]


@pytest.mark.parametrize("where", ["penguinctl", "the server's console"])
def test_every_open_call_of_an_operator_ends(fleet, wire, where):
    name = "bob" if where == "penguinctl" else "carol"
    invitation = decode_invitation(fleet.invite(name, "--role", "viewer").read_text())
    stranger = EvilAgent(wire)
    request = boot.RedeemInvitationRequest(
        invitation_id=invitation.invitation_id,
        invitation_secret=invitation.secret,
        csr=certs.make_csr(stranger.key),
    )
    answer = stranger.bootstrap.RedeemInvitation(request, timeout=SECONDS)
    bob = Identity(stranger.key, answer.certificate, name)
    calls = [watch(wire.main(bob)), ask_for_ever(wire.main(bob))]
    for one in calls:
        assert one.begun.wait(20)
    if where == "penguinctl":
        fleet.alice.run("operator", "revoke", name, "--reason", "left", "--yes")
    else:
        fleet.server.run("operator", "revoke", name)
    done = time.monotonic()
    for one in calls:
        one.join(ELSEWHERE_SECONDS)
        assert not one.is_alive()
        assert one.code == "identity-ended"
    limit = ALL_AT_ONCE_SECONDS if where == "penguinctl" else ELSEWHERE_SECONDS
    assert max(one.ended_time for one in calls) - done < limit
    myself = server_pb2_grpc.ServerServiceStub(wire.main(bob)).GetSelf
    assert refusal(myself, server_pb2.GetSelfRequest(), timeout=SECONDS).code == "revoked"
