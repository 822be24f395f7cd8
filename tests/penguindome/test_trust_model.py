"""Random rotations of trust, against the rule in one sentence."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from hypothesis import given, settings
from hypothesis import strategies as st

from penguindome.errors import Forbidden
from penguindome.trust import TrustDocument, accept_next

if TYPE_CHECKING:
    from tests.penguindome.signing import Fleet

NAMES = ["alice", "bob", "carol", "mallory"]
people = st.lists(st.sampled_from(NAMES), min_size=1, max_size=3, unique=True)


@st.composite
def proposals(draw) -> dict[str, Any]:
    roots = draw(people)
    return {
        "roots": roots,
        "threshold": draw(st.integers(1, len(roots))),
        "step": draw(st.sampled_from([1, 1, 1, 1, 0, 2, -1])),
        "signers": draw(st.lists(st.sampled_from(NAMES), max_size=4)),
    }


def allowed(fleet: Fleet, current: TrustDocument, proposal: dict[str, Any]) -> bool:
    """Say what the rule says: old and new thresholds of distinct keys, and the next version."""
    signed = {fleet.keys[name] for name in proposal["signers"]}
    old = current.roles["root"]
    by_old = len(signed & set(old.fingerprints)) >= old.threshold
    new = {fleet.keys[name] for name in proposal["roots"]}
    return by_old and len(signed & new) >= proposal["threshold"] and proposal["step"] == 1


@settings(max_examples=25)
@given(st.lists(proposals(), min_size=1, max_size=4))
def test_trust_moves_only_as_the_rule_says(fleet: Fleet, found: list[dict[str, Any]]) -> None:
    current = fleet.document("alice", "bob", version=5)
    for proposal in found:
        document = fleet.document(
            *proposal["roots"],
            threshold=proposal["threshold"],
            version=current.version + proposal["step"],
        )
        envelope = fleet.publish(document, *proposal["signers"])
        expected = allowed(fleet, current, proposal)
        try:
            current = accept_next(current, envelope, fleet.now)
        except Forbidden:
            assert not expected
        else:
            assert expected
            assert current == document
