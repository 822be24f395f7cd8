"""penguinctl operator, and device block and unblock."""

import json
import stat

import pytest

from penguinctl.nouns.operator_change import ROLES
from penguindome import trust
from penguindome.certs import pem_to_der
from penguindome.tokens import decode_invitation
from tests.penguinctl import samples


@pytest.fixture(autouse=True)
def _filled(simulator):
    samples.fill(simulator.state)


def test_an_invitation_stands_alone_and_pins_what_the_operator_pinned(simulator, operator):
    result = operator("operator", "invite", "bob", "--role", "viewer", "--ttl", "90m")
    assert (result.code, result.out.count("\n")) == (0, 1), result.err
    line = decode_invitation(result.out)
    assert line.anchor == pem_to_der(simulator.anchor.pem)
    assert (line.fleet, line.operator_name) == (simulator.fleet, "bob")
    assert line.trust_hash == trust.document_hash(simulator.state.trust[0].envelope.payload)
    request = simulator.requests("InviteOperator")[0]
    assert (list(request.roles), request.ttl_seconds) == (["viewer"], 5400)


def test_an_invitation_in_a_file_is_private_and_not_printed(operator):
    path = operator.home / "bob.txt"
    words = ("--role", "viewer", "--invitation-file", str(path))
    result = operator("operator", "invite", "bob", *words)
    assert (result.code, result.out) == (0, "")
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert decode_invitation(path.read_text()).operator_name == "bob"


def test_nothing_is_invited_that_cannot_be_written(simulator, operator):
    words = ("--role", "viewer", "--invitation-file", "/no/such/folder/bob")
    assert operator("operator", "invite", "bob", *words).code == 2
    assert not simulator.requests("InviteOperator")


@pytest.mark.parametrize(
    "arguments", [["bob"], ["bob", "--role", "king"], ["bob", "--role", "viewer", "--ttl", "soon"]]
)
def test_an_invitation_with_wrong_options(operator, arguments):
    assert operator("operator", "invite", *arguments).code == 2


def test_operators_and_who_is_invited_are_one_list(operator):
    said = operator("operator", "list").out
    assert [line.split()[:2] for line in said.splitlines()[1:]] == [
        ["alice", "active"],
        ["bob", "invited"],
    ]
    words = ("--columns", "name,state", "--sort", "-name", "-o", "csv")
    assert operator("operator", "list", *words).out.split() == [
        "name,state",
        "bob,invited",
        "alice,active",
    ]
    words = ("--columns", "role,networks.0", "--sort", "networks.0")
    lines = operator("operator", "ranges", *words).out.splitlines()
    assert [line.split() for line in lines[:2]] == [["ROLE", "NETWORKS.0"], ["admin", "10.0.0.0/8"]]


@pytest.mark.parametrize("words", [("role", "alice", "--remove", "viewer"), ("revoke", "alice")])
def test_what_concerns_oneself_is_asked_or_said_twice(simulator, operator, words):
    refused = operator("operator", *words)
    assert (refused.code, "Nothing was done" in refused.err) == (6, True)
    assert operator("operator", *words, stdin="alice\n").code == 0
    assert operator("operator", *words, "--yes").code == 0
    assert len(simulator.requests("RevokeOperator") + simulator.requests("SetOperatorRoles")) == 2


def test_roles_need_a_change(operator):
    assert operator("operator", "role", "bob").code == 2
    assert operator("operator", "role", "bob", "--add", "king").code == 2
    assert operator("operator", "role", "bob", "--add", "viewer").out == "bob: viewer\n"


def test_ranges_are_shown_set_and_cleared(simulator, operator):
    shown = json.loads(operator("operator", "ranges", "-o", "json").out)["ranges"]
    assert {one["role"]: one["networks"] for one in shown} == {
        **{role: [] for role in ROLES},
        "admin": ["10.0.0.0/8"],
    }
    assert "from everywhere" in operator("operator", "ranges", "viewer").out
    operator("operator", "ranges", "viewer", "10.0.0.0/8", "fd00::/8")
    operator("operator", "ranges", "admin", "--clear", "--lock-out-self")
    first, second = simulator.requests("SetRoleRanges")
    assert (list(first.ranges), first.lock_out_self) == (["10.0.0.0/8", "fd00::/8"], False)
    assert (second.role, list(second.ranges), second.lock_out_self) == ("admin", [], True)
    assert operator("operator", "ranges", "admin", "10.0.0.0/8", "--clear").code == 2


def test_a_device_is_blocked_shown_labelled_and_unblocked(operator):
    assert operator("device", "block", "web-1").code == 2
    assert operator("device", "block", "web-1", "--reason", "lost\x1b[31m").code == 0
    assert "already" in operator("device", "block", "web-1", "--reason", "lost").out
    assert "blocked" in operator("device", "list", "web-1").out
    shown = operator("device", "show", "web-1").out
    assert "Held by" in shown
    assert "\x1b" not in shown
    assert operator("device", "label", "web-1", "--add", "missing").code == 0
    assert operator("device", "unblock", "web-1").code == 0
    assert "not blocked" in operator("device", "unblock", "web-1").out
    operator("device", "block", "web-1", "--reason", "lost")
    assert operator("device", "revoke", "web-1", "--yes").code == 0
