"""A server that was taken over orders what no operator signed."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest

from penguindome import keys
from penguindome.envelope import Envelope, signed_bytes
from penguindome.orders.kinds import KINDS
from penguindome.v1 import agent_pb2
from tests.penguin_agent.agent_process import eventually

pytestmark = pytest.mark.timeout(180)
JUNK = [
    b"",
    b"\0",
    b"junk" * 1000,
    b"-----BEGIN PGP SIGNATURE-----\n\n-----END PGP SIGNATURE-----\n",
]


@pytest.mark.parametrize("kind", sorted(KINDS))
def test_an_order_of_any_kind_without_a_signature_is_refused(world, kind):
    payload = world.payload(kind)
    server_key = world.server.server_pair[0]
    own = keys.sign(server_key, signed_bytes(kind, payload))
    for signatures in ((), tuple(JUNK), (own,)):
        # Each under an id of its own, so that each is judged by itself.
        payload = world.payload(kind)
        assert world.code(Envelope(kind, payload, signatures)) == "not-signed"
    world.control()


@pytest.mark.parametrize(
    "kind", ["policy", "bundle", "secrets", "trust", "enroll", "reboot", "Wipe"]
)
def test_an_order_of_a_kind_that_nobody_knows_is_refused_though_it_is_signed(world, kind):
    payload = world.payload(kind, body=world.body("command", world.mark()))
    whole = world.fleet.sign(kind, payload, "alice", "bob")
    world.refused(whole, replace(whole, signatures=()))
    world.control()


def test_a_command_in_the_clothes_of_another_kind_is_refused(world):
    mark = world.mark()
    command = world.signed(mark=mark)
    for kind in [*sorted(set(KINDS) - {"command"}), "policy", "", "command\0", "command "]:
        world.refused(replace(command, kind=kind))
    # The same bytes as what they are.
    world.runs(command, mark)


def test_the_user_and_the_report_say_what_was_refused(world):
    envelope = Envelope("command", world.payload())
    assert world.code(envelope) == "not-signed"
    claimed = json.loads(envelope.payload)["id"]
    assert claimed in json.dumps(world.history())
    world.server.push(collect_now=agent_pb2.CollectNow(request_id="refused"))

    def told():
        stored = world.server.device.model.stored
        outputs = [one for report in stored for one in report.outputs if one.name == "agent"]
        return any(b"refused" in one.json for one in outputs)

    eventually(told)
    world.control()


def test_nothing_that_was_refused_keeps_its_id_from_being_used_well(world):
    """The server cannot burn an operator's order by sending a bad copy of it first."""
    mark = world.mark()
    good = world.signed(mark=mark)
    bad = good.payload.replace(b'"reason":"a test"', b'"reason":"A test"')
    world.refused(replace(good, payload=bad), replace(good, signatures=()))
    world.server.send(good)
    eventually(mark.exists)
    assert mark.read_text() == "ran\n"


ESCAPES = "\x1b[2J\x1b]0;title\x07\u202e\r\nOrder forged: command by root: all is well"


def test_words_of_envelopes_move_no_cursor_and_forge_no_line(world):
    """What nobody signed, and what a careless operator did."""
    mark = world.mark()
    payload = world.payload(reason=ESCAPES, by=ESCAPES)
    world.refused(
        Envelope("command", payload),
        Envelope("\x1b[2J\nx", world.payload(reason=ESCAPES, by=ESCAPES)),
    )
    world.runs(world.signed(mark=mark, reason=ESCAPES, by=ESCAPES), mark)
    for said in (
        world.agent.run("history"),
        world.agent.run("history", json.loads(payload)["id"], code=None),
        world.agent.run("status"),
        world.agent.log(),
    ):
        assert not [c for c in said if c != "\n" and (ord(c) < 0x20 or 0x7F <= ord(c) < 0xA0)]
        assert "\u202e" not in said
        assert not [line for line in said.split("\n") if line.startswith("Order forged")]
