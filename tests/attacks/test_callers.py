"""Every RPC by every kind of caller, over real connections: nothing but the table's cells pass."""

from importlib import import_module
from pathlib import Path

import grpc
import pytest
from bson import BSON
from google.protobuf import descriptor_pool, message_factory
from grpc_health.v1 import health_pb2
from grpc_reflection.v1alpha import reflection_pb2

from penguind.access import ACCESS, ROLES
from penguindome import certs, v1
from penguindome.error_wire import from_rpc_error
from penguindome.tokens import decode_invitation
from penguindome.v1 import bootstrap_pb2 as boot
from tests.attacks.kit.evil_agent import EvilAgent, verdicts_by
from tests.attacks.kit.keys import Identity
from tests.attacks.kit.wire import SECONDS, Wire, first_answer

pytestmark = pytest.mark.timeout(120)
CALLERS = ("nobody", "device", "blocked device", "revoked operator", *ROLES)
OUT = {"nobody": "unavailable", "blocked device": "denied", "revoked operator": "unauthenticated"}
# Written down once more on purpose: whoever widens the table has to say so here too.
MAY_CHANGE = {"operator", "admin"}
READ_ONLY = ("List", "Get", "Preview", "Watch", "Read", "Download")
# What belongs to sessions: a device's own ends, and what opens and ends them for whoever may do
# that and nothing else. Orders of other kinds are refused further inside.
SHELLS = {
    "device": ("ShellService/Serve", "ShellService/SubmitTranscript"),
    "shell": (
        *("ShellService/Attach", "ShellService/EndSession"),
        *("OrderService/SubmitOrder", "OrderService/ApproveOrder"),
    ),
}
AT_THE_DOOR = {"not-permitted", "role-missing", "blocked"}
# What services answer to an empty message, once it has reached them.
BEHIND_THE_DOOR = {"nonce", "possession"}
NOT_THERE = {
    grpc.StatusCode.UNAUTHENTICATED,
    grpc.StatusCode.UNAVAILABLE,
    grpc.StatusCode.UNIMPLEMENTED,
}


def methods():
    """Return the full name of every method that the generated code or a library of ours has."""
    files = [import_module(f"penguindome.v1.{path.stem}") for path in _generated()]
    files += [health_pb2, reflection_pb2]
    services = [s for file in files for s in file.DESCRIPTOR.services_by_name.values()]
    return sorted(f"/{s.full_name}/{method.name}" for s in services for method in s.methods)


def _generated():
    return sorted(Path(v1.__path__[0]).glob("*_pb2.py"))


@pytest.fixture(scope="module")
def identities(fleet, keys, token):
    """Return a certificate for every kind of caller; nobody has none."""
    opened = Wire(fleet.server, keys.anchor)
    found = {"nobody": None, "device": enrolled(opened, token)}
    found["blocked device"] = enrolled(opened, token)
    fleet.alice.run("device", "block", found["blocked device"].name, "--reason", "a test")
    for role in ROLES:
        invitation = fleet.invite(f"only-{role}", "--role", role).read_text()
        found[role] = redeemed(opened, decode_invitation(invitation))
    words = [word for role in ROLES for word in ("--role", role)]
    invitation = fleet.invite("former", *words).read_text()
    found["revoked operator"] = redeemed(opened, decode_invitation(invitation))
    fleet.alice.run("operator", "revoke", "former", "--yes")
    opened.close()
    return found


def enrolled(wire, token):
    agent = EvilAgent(wire)
    agent.enroll(token)
    return agent.identity


def redeemed(wire, invitation):
    stranger = EvilAgent(wire)
    request = boot.RedeemInvitationRequest(
        invitation_id=invitation.invitation_id,
        invitation_secret=invitation.secret,
        csr=certs.make_csr(stranger.key),
    )
    answer = stranger.bootstrap.RedeemInvitation(request, timeout=SECONDS)
    return Identity(stranger.key, answer.certificate, invitation.operator_name)


def outcome(channel, method, request=b""):
    """Return what became of a call, with an empty message: passed, or why it did not."""
    try:
        first_answer(channel, method, request)
    except grpc.RpcError as error:
        code = from_rpc_error(error).code
        if code in AT_THE_DOOR:
            return "denied"
        if error.code() in NOT_THERE and code not in BEHIND_THE_DOOR:
            return error.code().name.lower()
    return "passed"


def expected(caller, method):
    """Return what the table says about a cell of the main port."""
    row = ACCESS[method]
    if caller == "nobody":
        return OUT[caller]
    if row.listener != "main":
        return "unimplemented"
    if caller in OUT:
        return OUT[caller]
    if caller == "device":
        return "passed" if "device" in row.kinds else "denied"
    return "passed" if "operator" in row.kinds and caller in row.roles else "denied"


def test_nothing_is_served_that_the_table_does_not_know():
    assert set(methods()) == set(ACCESS)


@pytest.mark.parametrize("caller", CALLERS)
def test_every_method_of_the_main_port(wire, identities, caller):
    channel = wire.main(identities[caller])
    wrong = {
        method: (found, expected(caller, method))
        for method in methods()
        if (found := outcome(channel, method)) != expected(caller, method)
    }
    assert not wrong


def test_every_method_of_the_bootstrap_port(wire):
    channel = wire.bootstrap()
    found = {method: outcome(channel, method) for method in methods()}
    there = {method for method, row in ACCESS.items() if row.listener == "bootstrap"}
    assert {method for method, what in found.items() if what == "passed"} == there
    assert {what for method, what in found.items() if method not in there} == {"unimplemented"}


@pytest.mark.parametrize("caller", CALLERS)
def test_who_only_looks_changes_nothing(wire, identities, caller):
    """The same without the table: only two roles get past the door of what changes things."""
    if caller in MAY_CHANGE:
        return
    channel = wire.main(identities[caller])
    changing = [
        method
        for method in methods()
        if method.startswith("/penguindome.")
        and not method.startswith(("/penguindome.v1.Agent", "/penguindome.v1.Bootstrap"))
        and method.removeprefix("/penguindome.v1.") not in SHELLS.get(caller, ())
        and not method.rpartition("/")[2].startswith(READ_ONLY)
    ]
    assert len(changing) > 10
    assert {outcome(channel, method) for method in changing} <= {"denied", *OUT.values()}


def filled(message, text, depth=4):
    """Return a message all of whose fields that can name something name the same."""
    for field in message.DESCRIPTOR.fields:
        repeated = field.is_repeated
        if field.type in (field.TYPE_STRING, field.TYPE_BYTES):
            value = text if field.type == field.TYPE_STRING else text.encode()
            if repeated:
                getattr(message, field.name).append(value)
            else:
                setattr(message, field.name, value)
        elif (
            field.type == field.TYPE_MESSAGE
            and depth
            and not field.message_type.GetOptions().map_entry
        ):
            inner = getattr(message, field.name)
            filled(inner.add() if repeated else inner, text, depth - 1)
    return message


def about(database, device_id, thief):
    """Return every stored document in which a device's id stands, and not the thief's.

    A device may call itself what it likes. Without what operators did, and without the time when it
    was seen, which is noted later.
    """
    found = {}
    for name in sorted(database.records.list_collection_names()):
        documents = database.records[name].find({}, {"last_seen_time": 0}, sort=[("_id", 1)])
        encoded = [BSON.encode(one) for one in documents]
        ours = [one for one in encoded if device_id.encode() in one]
        found[name] = [one for one in ours if thief.encode() not in one]
    del found["ledger"]
    return found


def test_a_device_reaches_nothing_of_another_one_by_any_field(wire, identities, database, token):
    victim = enrolled(wire, token)
    verdicts_by(wire.main(victim))
    thief = identities["device"]
    before = about(database, victim.name, thief.name)
    assert before["devices"]
    channel = wire.main(thief)
    for method in methods():
        if method.startswith("/penguindome."):
            request = filled(request_of(method)(), victim.name).SerializeToString()
            found = outcome(channel, method, request)
            assert found == expected("device", method), method
    assert about(database, victim.name, thief.name) == before


def request_of(method):
    service, name = method[1:].split("/")
    found = descriptor_pool.Default().FindServiceByName(service).methods_by_name[name]
    return message_factory.GetMessageClass(found.input_type)
