from __future__ import annotations

import re
from pathlib import Path

import pytest

from penguind.access import ACCESS, ROLES, Row, check_table, permit, permit_order
from penguindome.errors import Forbidden, PreconditionFailed

PROTO = Path(__file__).parents[2] / "proto/penguindome/v1"
KINDS = {"agent": {"device"}, "operator": {"operator"}, "applicant": {"applicant"}}


def commented_callers():
    """Return the kinds of caller that each RPC's comment in the .proto files names."""
    found = {}
    for path in PROTO.glob("*.proto"):
        service = ""
        caller = ""
        for line in path.read_text().splitlines():
            if match := re.match(r"service (\w+) ", line):
                service = match[1]
            elif match := re.match(r"\s*// Caller: (.+)", line):
                caller = match[1]
            elif match := re.match(r"\s*rpc (\w+)\(", line):
                words = re.findall(r"\w+", caller)
                found[f"/penguindome.v1.{service}/{match[1]}"] = set().union(
                    *(KINDS[word] for word in words)
                )
                caller = ""
    return found


def test_every_rpc_has_a_row_that_says_what_its_comment_says():
    ours = {name: set(row.kinds) for name, row in ACCESS.items() if "/penguindome." in name}
    assert ours == commented_callers()


def test_a_method_without_a_row_is_refused_at_the_start():
    row = Row(frozenset({"device"}))
    with pytest.raises(PreconditionFailed, match="/a/B is served on main without a row"):
        check_table({"main": ["/a/A", "/a/B"]}, {"/a/A": row})


def test_a_row_without_a_method_is_refused_at_the_start():
    row = Row(frozenset({"device"}))
    with pytest.raises(PreconditionFailed, match="/a/B has a row but is not served"):
        check_table({"main": ["/a/A"]}, {"/a/A": row, "/a/B": row})


def test_a_method_on_the_wrong_listener_is_refused_at_the_start():
    with pytest.raises(PreconditionFailed):
        check_table({"bootstrap": ["/a/A"]}, {"/a/A": Row(frozenset({"device"}))})


@pytest.mark.parametrize("method", sorted(ACCESS))
def test_only_the_kinds_and_roles_of_the_row_pass(method):
    row = ACCESS[method]
    for kind in ("device", "operator", "applicant"):
        for role in ("", *ROLES):
            for listener in ("main", "bootstrap"):
                roles = frozenset({role} if role and kind == "operator" else ())
                allowed = kind in row.kinds and listener == row.listener
                if kind == "operator":
                    allowed = allowed and bool(roles & row.roles)
                try:
                    permit(method, kind=kind, roles=roles, listener=listener)
                except Forbidden:
                    assert not allowed
                else:
                    assert allowed


def test_an_unknown_method_is_forbidden():
    with pytest.raises(Forbidden):
        permit("/x/Y", kind="operator", roles=frozenset(ROLES), listener="main")


def test_every_act_is_for_operators_alone_and_viewers_cannot_act():
    acts = {name: row for name, row in ACCESS.items() if row.action}
    assert acts
    for row in acts.values():
        assert row.kinds == {"operator"}
        assert not row.roles & {"viewer", "auditor", "keeper"}
    for_shells = {name.rpartition("/")[2] for name, row in acts.items() if "shell" in row.roles}
    assert for_shells == {"SubmitOrder", "ApproveOrder", "EndSession"}


@pytest.mark.parametrize(
    ("kind", "role", "may"),
    [
        ("shell", "shell", True),
        ("shell", "admin", True),
        ("shell", "operator", False),
        ("command", "operator", True),
        ("command", "shell", False),
        ("wipe", "shell", False),
        ("", "shell", False),
    ],
)
def test_an_order_needs_the_role_of_its_kind(kind, role, may):
    if may:
        permit_order(kind, frozenset({role}))
        return
    with pytest.raises(Forbidden) as refused:
        permit_order(kind, frozenset({role}))
    assert refused.value.code == "role-for-kind"
