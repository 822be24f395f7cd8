"""Changes of the trust document, each believed by the rule that devices check."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from penguindome import trust_changes as change
from penguindome.envelope import open_envelope
from penguindome.errors import (
    AlreadyExists,
    Forbidden,
    InvalidInput,
    NotFound,
    PreconditionFailed,
)
from penguindome.trust import ROLES, Role, accept_next, to_payload
from penguindome.trust_thresholds import checked, recommended_threshold, too_low, weaknesses

if TYPE_CHECKING:
    from penguindome.trust import TrustDocument
    from tests.penguindome.signing import Fleet

DEVICE = "d-aaaaaaaaaaaaaaaa"


def begun(fleet: Fleet, *names: str, threshold: int = 1) -> tuple[TrustDocument, TrustDocument]:
    """Return a first version and the draft of the next one."""
    first = fleet.document(*names, threshold=threshold)
    return first, change.renewed(first, fleet.now)


def test_a_lost_key_is_replaced_in_every_role_and_counts_no_more(fleet: Fleet) -> None:
    first, draft = begun(fleet, "alice", "bob", threshold=2)
    second = change.with_key(draft, "bob", fleet.blob("carol"))
    assert second.roles == dict.fromkeys(ROLES, Role(2, (fleet.keys["alice"], fleet.keys["carol"])))
    assert second.operators[fleet.keys["carol"]] == "bob"
    assert fleet.keys["bob"] not in second.keys
    # The lost key is not there to sign: with two of two, nothing recovers it.
    with pytest.raises(Forbidden):
        accept_next(first, fleet.publish(second, "alice", "carol"), fleet.now)
    signed = fleet.publish(second, "alice", "bob", "carol")
    third = change.renewed(accept_next(first, signed, fleet.now), fleet.now)
    with pytest.raises(Forbidden):
        accept_next(second, fleet.publish(third, "alice", "bob"), fleet.now)


def test_two_of_three_recover_from_a_lost_key(fleet: Fleet) -> None:
    first, draft = begun(fleet, "alice", "bob", "carol", threshold=2)
    second = change.with_key(draft, "carol", fleet.blob("mallory"))
    assert accept_next(first, fleet.publish(second, "alice", "bob"), fleet.now) == second


def test_roles_are_granted_and_denied_one_by_one(fleet: Fleet) -> None:
    _, draft = begun(fleet, "alice", "bob")
    alice, bob = fleet.keys["alice"], fleet.keys["bob"]
    without = change.denied(draft, "shell", "bob")
    assert without.roles["shell"] == Role(1, (alice,))
    assert {role for role in ROLES if without.roles[role].fingerprints == (alice, bob)} == {
        *ROLES
    } - {"shell"}
    assert change.granted(without, "shell", "bob").roles == draft.roles
    nobody = change.denied(without, "shell", "alice")
    assert "shell" not in nobody.roles
    assert change.granted(nobody, "shell", "bob").roles["shell"] == Role(1, (bob,))
    for call, error in (
        (lambda: change.granted(draft, "shell", "bob"), AlreadyExists),
        (lambda: change.denied(without, "shell", "bob"), NotFound),
        (lambda: change.granted(draft, "king", "bob"), InvalidInput),
        (lambda: change.granted(draft, "shell", "carol"), NotFound),
        (lambda: change.with_threshold(nobody, "shell", 1), NotFound),
    ):
        with pytest.raises(error):
            call()


def test_thresholds_are_judged_when_all_changes_are_made(fleet: Fleet) -> None:
    _, draft = begun(fleet, "alice")
    early = change.with_threshold(draft, "root", 2)
    with pytest.raises(PreconditionFailed, match="too few operators would be left for root"):
        checked(early)
    assert checked(change.with_operator(early, "bob", fleet.blob("bob"))).roles["root"] == Role(
        2, (fleet.keys["alice"], fleet.keys["bob"])
    )
    with pytest.raises(PreconditionFailed, match="less than 1"):
        checked(change.with_threshold(draft, "root", 0))
    with pytest.raises(PreconditionFailed, match="for root"):
        checked(change.denied(draft, "root", "alice"))


def test_the_floor_voids_what_anybody_signed_until_now(fleet: Fleet) -> None:
    first, draft = begun(fleet, "alice", "bob")
    stolen = fleet.sign("command", fleet.order(DEVICE), "bob")

    def opened(document: TrustDocument, seconds: int = 0) -> None:
        envelope = stolen
        if seconds:
            later = fleet.now + timedelta(seconds=seconds)
            envelope = fleet.sign("command", fleet.order(DEVICE, issued_time=later), "alice")
        open_envelope(
            envelope,
            trust=document,
            role="command",
            fleet=fleet.id,
            device_id=DEVICE,
            now=fleet.now + timedelta(seconds=10),
        )

    opened(first)
    for fraction in (0, 1, 999_999):
        voided = change.floored(draft, fleet.now + timedelta(microseconds=fraction))
        assert accept_next(first, fleet.publish(voided, "alice"), fleet.now) == voided
        with pytest.raises(Forbidden):
            opened(voided)
        opened(voided, seconds=1)
    again = change.floored(replace(voided), fleet.now - timedelta(days=1))
    assert again.ticket_floor_time == voided.ticket_floor_time


@pytest.mark.parametrize(
    ("operators", "raised"),
    [
        (1, {}),
        (2, {"release": 2, "wipe": 2, "secrets": 2}),
        (3, {"root": 2, "release": 2, "wipe": 2, "secrets": 2}),
    ],
)
def test_recommended_thresholds_follow_from_the_number_of_operators(
    fleet: Fleet, operators: int, raised: dict[str, int]
) -> None:
    _, draft = begun(fleet, *("alice", "bob", "carol")[:operators])
    assert too_low(draft) == raised
    better = checked(change.recommended(draft))
    assert too_low(better) == {}
    assert {role: held.threshold for role, held in better.roles.items()} == {
        role: raised.get(role, 1) for role in ROLES
    }
    stricter = change.with_threshold(draft, "command", operators)
    assert change.recommended(stricter).roles["command"].threshold == operators


@given(st.sampled_from(ROLES), st.integers(1, 100))
def test_a_recommended_threshold_can_be_met_and_survives_a_lost_key(role: str, number: int) -> None:
    threshold = recommended_threshold(role, number)
    assert 1 <= threshold <= number
    if role == "root" and number > 1:
        assert threshold < number


@pytest.mark.parametrize(
    ("names", "threshold", "stolen", "lost"),
    [
        (("alice",), 1, True, True),
        (("alice", "bob"), 1, True, False),
        (("alice", "bob"), 2, False, True),
        (("alice", "bob", "carol"), 2, False, False),
    ],
)
def test_weak_root_roles_are_told(
    fleet: Fleet, names: tuple[str, ...], threshold: int, *, stolen: bool, lost: bool
) -> None:
    said = " ".join(weaknesses(fleet.document(*names, threshold=threshold)))
    assert ("One stolen root key is enough" in said) is stolen
    assert ("enrolling every device again" in said) is lost


def test_an_operator_needs_a_name_and_a_key(fleet: Fleet) -> None:
    _, draft = begun(fleet, "alice")
    for name in ("", "Bob!", "b" * 300):
        with pytest.raises(InvalidInput):
            change.with_operator(draft, name, fleet.blob("bob"))
    with pytest.raises(AlreadyExists):
        change.with_key(draft, "alice", fleet.blob("alice"))
    with pytest.raises(NotFound):
        change.with_key(draft, "bob", fleet.blob("bob"))
    to_payload(draft)
