"""A device that claims to be another machine."""

import pytest

from penguindome.errors import InvalidInput
from penguindome.tokens import decode_token
from penguindome.v1 import agent_pb2
from penguindome.v1 import bootstrap_pb2 as boot
from tests.attacks.kit.evil_agent import EvilAgent
from tests.attacks.kit.wire import refusal

pytestmark = pytest.mark.timeout(120)
MACHINE = {"machine-id": b"m" * 32, "product-uuid": b"p" * 32}


def record(database, device_id):
    found = database.records["devices"].find_one({"_id": device_id})
    return {name: found[name] for name in ("hostname", "state", "spki", "serials", "fingerprint")}


def test_hints_of_another_machine_make_a_record_that_waits(fleet, wire, database, token):
    victim, thief = EvilAgent(wire), EvilAgent(wire)
    victim.enroll(token, hostname="boss", hints=MACHINE)
    victim.call()
    before = record(database, victim.device_id)
    needs_approval = decode_token(fleet.alice.token("--approve"))
    answer = thief.enroll(needs_approval, hostname="boss", hints=MACHINE)
    assert answer.state == boot.ENROLLMENT_STATE_PENDING
    assert not answer.certificate
    assert thief.device_id != victim.device_id
    assert record(database, victim.device_id) == before
    shown = fleet.alice.json("device", "show", thief.device_id)["device"]
    assert victim.device_id in shown["same_hardware"]
    victim.call()


def test_hints_of_another_machine_give_no_certificate_of_it(fleet, wire, database, token):
    victim, thief = EvilAgent(wire), EvilAgent(wire)
    victim.enroll(token, hostname="chief", hints={"machine-id": b"c" * 32})
    before = record(database, victim.device_id)
    thief.enroll(token, hostname="chief", hints={"machine-id": b"c" * 32})
    assert thief.uri != victim.uri
    assert record(database, victim.device_id) == before
    stub = thief.stub()
    stream = stub.CheckIn(agent_pb2.CheckInRequest(hostname="chief"), timeout=15)
    assert next(stream).HasField("welcome")
    assert fleet.alice.json("device", "show", thief.device_id)["device"]["connected"]
    assert not fleet.alice.json("device", "show", victim.device_id)["device"]["connected"]
    # The name alone means neither of the two.
    said = fleet.alice.run("device", "revoke", "chief", "--yes", "--reason", "x", status=6)
    assert victim.device_id in said
    assert thief.device_id in said
    stream.cancel()


@pytest.mark.parametrize(
    "hints",
    [
        {"$where": b"x" * 32},
        {"a.b": b"x" * 32},
        {"machine-id": b""},
        {"machine-id": b"x" * 5000},
        {f"k{n}": b"x" * 32 for n in range(500)},
    ],
    ids=["operator", "path", "empty", "long", "many"],
)
def test_hints_that_are_none(wire, token, hints):
    applicant = EvilAgent(wire)
    assert type(refusal(applicant.enroll, token, hints=hints)) is InvalidInput
    applicant.enroll(token, hints=MACHINE)
